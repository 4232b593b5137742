{{- define "watchpost.labels" -}}
{app.kubernetes.io/name: {{ . }}, app.kubernetes.io/part-of: watchpost}
{{- end }}

{{- /* The image of a program: dict "root" $ "name" NAME. */ -}}
{{- define "watchpost.image" -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end }}watchpost/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "watchpost.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "watchpost.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "watchpost.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* A service account: dict "root" $ "name" NAME "namespace" NAMESPACE. */ -}}
{{- define "watchpost.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{ include "watchpost.labels" .name }}
automountServiceAccountToken: false
{{- end }}

{{- /* A binding: dict "root" $ "name" NAME "role" ROLE; with "kind" Role it is one of the namespace. */ -}}
{{- define "watchpost.binding" -}}
{{- $kind := get . "kind" | default "ClusterRole" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .role }}
  {{- if eq $kind "Role" }}
  namespace: {{ .root.Values.namespaces.suite }}
  {{- end }}
  labels: {{ include "watchpost.labels" .name }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ .role }}}
subjects:
- {kind: ServiceAccount, name: {{ .name }}, namespace: {{ .root.Values.namespaces.suite }}}
{{- end }}

{{- /* The role of a sharded program: dict "root" $ "name" NAME. state-agent may list and watch statefulsets as all others. */ -}}
{{- define "watchpost.shards" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}-shards
  namespace: {{ .root.Values.namespaces.suite }}
  labels: {{ include "watchpost.labels" .name }}
rules:
- apiGroups: [""]
  resources: [pods]
  verbs: [get]
{{- if ne .name "state-agent" }}
- apiGroups: [apps]
  resources: [statefulsets]
  resourceNames: [{{ .name }}]
  verbs: [list, watch]
{{- end }}
---
{{ include "watchpost.binding" (dict "root" .root "name" .name "role" (printf "%s-shards" .name) "kind" "Role") }}
{{- end }}

{{- /* A headless service with metrics: dict "name" NAME "namespace" NAMESPACE "port" PORT. */ -}}
{{- define "watchpost.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{ include "watchpost.labels" .name }}
  annotations: {prometheus.io/scrape: "true", prometheus.io/port: {{ .port | quote }}}
spec:
  clusterIP: None
  selector: {{ include "watchpost.labels" .name }}
  ports:
  - {name: metrics, port: {{ .port }}, targetPort: metrics, protocol: TCP}
{{- end }}
