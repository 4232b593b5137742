package main

// What a program is made of, as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/), by what
// the program itself carries: `go version -m` shows the same.

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// spdxType is the media type of the document: https://www.iana.org/assignments/media-types/application/spdx+json.
const spdxType = "application/spdx+json"

const noAssertion = "NOASSERTION" // SPDX: nothing is claimed

// The parts of SPDX that are used.
type (
	spdxDocument struct {
		SPDXID            string             `json:"SPDXID"`
		SPDXVersion       string             `json:"spdxVersion"`
		DataLicense       string             `json:"dataLicense"`
		Name              string             `json:"name"`
		DocumentNamespace string             `json:"documentNamespace"`
		CreationInfo      spdxCreation       `json:"creationInfo"`
		Packages          []spdxPackage      `json:"packages"`
		Relationships     []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID           string         `json:"SPDXID"`
		Name             string         `json:"name"`
		VersionInfo      string         `json:"versionInfo"`
		DownloadLocation string         `json:"downloadLocation"`
		FilesAnalyzed    bool           `json:"filesAnalyzed"`
		LicenseConcluded string         `json:"licenseConcluded"`
		LicenseDeclared  string         `json:"licenseDeclared"`
		CopyrightText    string         `json:"copyrightText"`
		Purpose          string         `json:"primaryPackagePurpose,omitempty"`
		Comment          string         `json:"comment,omitempty"`
		Checksums        []spdxChecksum `json:"checksums,omitempty"`
		ExternalRefs     []spdxRef      `json:"externalRefs,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

// sbom is the document of one program, with what its page is made of where it has one.
func (s source) sbom(program, binary, licence string, certificates, withPage bool) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	location := noAssertion
	if s.url != "" {
		location = "git+" + s.url + "@" + s.revision
	}
	const programID = "SPDXRef-Program"
	doc := spdxDocument{
		SPDXID: "SPDXRef-DOCUMENT", SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0",
		Name: program + " " + s.version,
		// Unique, and the same for the same program.
		DocumentNamespace: fmt.Sprintf("https://spdx.org/spdxdocs/watchpost-%s-%x", program, sum),
		CreationInfo:      spdxCreation{s.created.Format(time.RFC3339), []string{"Tool: watchpost/deploy/image-" + s.version}},
		Packages: []spdxPackage{{
			SPDXID: programID, Name: program, VersionInfo: s.version, DownloadLocation: location,
			LicenseConcluded: noAssertion, LicenseDeclared: licence, CopyrightText: noAssertion, Purpose: "APPLICATION",
			Comment:   fmt.Sprintf("%s %s of commit %s, built by %s", setting(info, "GOOS"), setting(info, "GOARCH"), s.revision, info.GoVersion),
			Checksums: []spdxChecksum{{"SHA256", hex.EncodeToString(sum[:])}},
		}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", programID}},
	}
	add := func(relation string, p spdxPackage) {
		p.SPDXID = fmt.Sprintf("SPDXRef-Package-%d", len(doc.Packages))
		p.DownloadLocation, p.LicenseConcluded, p.CopyrightText = noAssertion, noAssertion, noAssertion
		if p.LicenseDeclared == "" {
			p.LicenseDeclared = noAssertion
		}
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, spdxRelationship{programID, relation, p.SPDXID})
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ") // experiments follow
	add("DEPENDS_ON", spdxPackage{Name: "stdlib", VersionInfo: goVersion, LicenseDeclared: "BSD-3-Clause", Purpose: "LIBRARY",
		ExternalRefs: purl("golang", "stdlib", goVersion)})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add("DEPENDS_ON", spdxPackage{Name: m.Path, VersionInfo: m.Version, Purpose: "LIBRARY", Comment: "go.sum: " + m.Sum,
			ExternalRefs: purl("golang", m.Path, m.Version)})
	}
	if withPage {
		packages, err := pagePackages(s.root)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			add("CONTAINS", p)
		}
	}
	if certificates {
		version, err := moduleVersion("golang.org/x/crypto/x509roots/fallback")
		if err != nil {
			return nil, err
		}
		add("CONTAINS", spdxPackage{Name: "golang.org/x/crypto/x509roots/fallback", VersionInfo: version, LicenseDeclared: "BSD-3-Clause", Purpose: "FILE",
			Comment: "the certificates of Mozilla's root program, in /etc/ssl/certs/ca-certificates.crt", ExternalRefs: purl("golang", "golang.org/x/crypto/x509roots/fallback", version)})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// setting is one of the build's settings.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// moduleVersion is that of a module this program is made of.
func moduleVersion(path string) (string, error) {
	info, found := debug.ReadBuildInfo()
	if found {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version, nil
			}
		}
	}
	return "", fmt.Errorf("this program does not know its version of %s: build it with modules", path)
}

// purl names a package as https://github.com/package-url/purl-spec does.
func purl(kind, name, version string) []spdxRef {
	escape := strings.NewReplacer("@", "%40", "+", "%2B").Replace
	return []spdxRef{{"PACKAGE-MANAGER", "purl", "pkg:" + kind + "/" + escape(name) + "@" + escape(version)}}
}

// pagePackages are the npm packages that the page is bundled from, by the file that pins
// them; it tells a checksum of each as sha512-BASE64:
// https://docs.npmjs.com/cli/configuring-npm/package-lock-json.
func pagePackages(root string) ([]spdxPackage, error) {
	name := filepath.Join(root, "web/package-lock.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version, Integrity, License string
			Dev, Optional               bool
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var list []spdxPackage
	for _, at := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[at]
		_, name, found := cutLast(at, "node_modules/")
		if !found || p.Dev || p.Optional {
			continue
		}
		entry := spdxPackage{Name: name, VersionInfo: p.Version, LicenseDeclared: p.License, Purpose: "LIBRARY", ExternalRefs: purl("npm", name, p.Version)}
		if sum, found := strings.CutPrefix(p.Integrity, "sha512-"); found {
			b, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: integrity %q: %w", name, at, p.Integrity, err)
			}
			entry.Checksums = []spdxChecksum{{"SHA512", hex.EncodeToString(b)}}
		}
		list = append(list, entry)
	}
	return list, nil
}

// cutLast is strings.Cut at the last sep.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}
