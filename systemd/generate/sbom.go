package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

// The bill of materials is SPDX 2.3 in JSON. It says what the toolchain wrote into the program itself, so it cannot differ from it.

type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	Name       string         `json:"name"`
	ID         string         `json:"SPDXID"`
	Version    string         `json:"versionInfo"`
	Download   string         `json:"downloadLocation"`
	Analyzed   bool           `json:"filesAnalyzed"`
	Concluded  string         `json:"licenseConcluded"`
	Declared   string         `json:"licenseDeclared"`
	Copyright  string         `json:"copyrightText"`
	Comment    string         `json:"comment,omitempty"`
	Checksums  []spdxChecksum `json:"checksums,omitempty"`
	References []spdxExternal `json:"externalRefs"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxExternal struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// writeSBOM describes the program in file by what it says of itself.
func writeSBOM(file, program, version string, date time.Time) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read what the program is built from: %w", err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	checksum := hex.EncodeToString(sum[:])
	root := modulePackage(debug.Module{Path: info.Main.Path, Version: version})
	root.Checksums = []spdxChecksum{{Algorithm: "SHA256", Value: checksum}}
	d := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "askara-sync-" + version,
		Namespace: "urn:askara-sync:spdx:" + version + ":" + checksum,
		Creation:  spdxCreation{Created: date.Format(time.RFC3339), Creators: []string{"Tool: askara-sync-generate"}},
		Packages:  []spdxPackage{root},
		Relationships: []spdxRelationship{
			{Element: "SPDXRef-DOCUMENT", Type: "DESCRIBES", Related: root.ID},
		},
	}
	modules := append([]*debug.Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}, info.Deps...)
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		p := modulePackage(*m)
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, spdxRelationship{Element: root.ID, Type: "DEPENDS_ON", Related: p.ID})
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// notID is what an SPDX identifier must not hold.
var notID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func modulePackage(m debug.Module) spdxPackage {
	const unsaid = "NOASSERTION"
	p := spdxPackage{
		Name: m.Path, ID: "SPDXRef-" + notID.ReplaceAllString(m.Path, "-"), Version: m.Version, Download: unsaid, Concluded: unsaid,
		Declared: unsaid, Copyright: unsaid,
		References: []spdxExternal{{Category: "PACKAGE-MANAGER", Type: "purl", Locator: "pkg:golang/" + m.Path + "@" + m.Version}},
	}
	if m.Sum != "" {
		p.Comment = "Go module checksum " + m.Sum
	}
	return p
}
