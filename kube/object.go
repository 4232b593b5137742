package kube

import (
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/expo"
)

// The families that many resources have, from an object's metadata
// (k8s.io/apimachinery/pkg/apis/meta/v1, ObjectMeta). Each resource names its own.

// labels declares the family with an object's labels as labels.
func labels(name, help string) family {
	return family{Family: expo.Gauge(name, help), keys: labelKeys, write: func(l *Lines, o v1.Object) {
		l.AddPairs(1, promLabels("label_", o.GetLabels(), l.labelKeys))
	}}
}

// annotations declares the family with an object's annotations as labels.
func annotations(name, help string) family {
	return family{Family: expo.Gauge(name, help), keys: annotationKeys, write: func(l *Lines, o v1.Object) {
		l.AddPairs(1, promLabels("annotation_", o.GetAnnotations(), l.annotationKeys))
	}}
}

// created declares the family with the time when an object was made.
func created(name, help string) family {
	return gauge(name, help, func(l *Lines, o v1.Object) {
		if t := o.GetCreationTimestamp(); !t.IsZero() {
			l.Time(t)
		}
	})
}

// deleted declares the family with the time when an object that is being deleted
// is to be gone.
func deleted(name, help string) family {
	return gauge(name, help, func(l *Lines, o v1.Object) { l.TimeIf(o.GetDeletionTimestamp()) })
}

// generation declares the family with the number of the wanted state of an object.
func generation(name, help string) family {
	return gauge(name, help, func(l *Lines, o v1.Object) { l.Add(float64(o.GetGeneration())) })
}

// resourceVersion declares the family with the version of an object, where that
// is a number. Only its changes mean something.
func resourceVersion(name, help string) family {
	return gauge(name, help, func(l *Lines, o v1.Object) {
		if v, err := strconv.ParseFloat(o.GetResourceVersion(), 64); err == nil {
			l.Add(v)
		}
	})
}

// info declares a family that is 1 for each object.
func info(name, help string) family {
	return gauge(name, help, func(l *Lines, _ v1.Object) { l.Add(1) })
}

// owner declares the family with the objects that an object belongs to; one that
// belongs to none has a sample whose labels are empty.
func owner(name, help string) family {
	return gauge(name, help, func(l *Lines, o v1.Object) {
		owners := o.GetOwnerReferences()
		if len(owners) == 0 {
			l.Add(1, "", "", "")
		}
		for _, r := range owners {
			l.Add(1, r.Kind, r.Name, strconv.FormatBool(r.Controller != nil && *r.Controller))
		}
	}, "owner_kind", "owner_name", "owner_is_controller")
}
