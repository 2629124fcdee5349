package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"askara-sync/askara"
)

// What the external tests need of the inside.
var (
	KnownKeys    = knownKeys
	ParseMoment  = parseMoment
	ExitCode     = exitCode
	PrintError   = printError
	NewLogger    = newLogger
	IsJournal    = isJournal
	DropRoot     = dropRoot
	UnknownVerb  = unknownVerb
	NewRun       = newRun
	AdoptFolder  = adoptFolder
	EstimateText = estimateText
	SamePlace    = samePlace
	LockPass     = lockPass
)

// ReadLine is readLine on a reader of its own.
func ReadLine(r io.Reader, v any) error { return readLine(bufio.NewReader(r), v) }

// WantsColour is wantsColour.
var WantsColour = wantsColour

// RenderStatus writes a view as the status verb does, in UTC, with the default relogin_before.
func RenderStatus(w io.Writer, v StatusView, now time.Time, colour bool) error {
	p := &statusPage{w: w, now: now, location: time.UTC, reloginBefore: 5 * day, colour: colour}
	return p.render(v)
}

// InstallFolder is the verb's work for another user and drop-in; it returns what it said.
func InstallFolder(ctx context.Context, user, dropIn, path, group string, dryRun bool) (string, error) {
	var said strings.Builder
	f := &folderInstall{path: path, group: group, user: user, dropIn: dropIn, dryRun: dryRun}
	f.say = func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) }
	err := f.install(ctx)
	return said.String(), err
}

// DoctorLogin is doctor's check of one login.
func DoctorLogin(c *Config, l askara.Login, now time.Time) (checks []DoctorCheck, usable bool) {
	d := &doctor{cfg: c, report: newDoctorReport()}
	usable = d.login(l, now)
	return d.report.checks, usable
}

// DoctorNetwork is doctor's look at the way to Askara, with a resolver.
func DoctorNetwork(ctx context.Context, c *Config, resolver *net.Resolver) (checks []DoctorCheck, open bool, err error) {
	d := &doctor{cfg: c, report: newDoctorReport(), resolver: resolver}
	open = d.network(ctx)
	return d.report.checks, open, d.report.err()
}

// DescriptionLines parses an API's description and returns every contract that doctor would make of it.
func DescriptionLines(raw []byte, base *url.URL) []askara.Contract {
	d := parseDescription(raw, base)
	c := askara.DefaultContract()
	var all []askara.Contract
	for _, path := range slices.Concat(d.collections(), d.items()) {
		found := c
		found.DocumentsPath = path
		all = append(all, found)
	}
	for _, p := range d.pdfs() {
		found := c
		found.PDFPath, found.LinkFields, found.ContentFields = p.path, first(p.links, c.LinkFields), first(p.contents, c.ContentFields)
		all = append(all, found)
	}
	for _, o := range d.confirmations() {
		found, _ := d.fit(c, o)
		all = append(all, found)
	}
	return all
}

// JSONLeaves is jsonLeaves, collected.
func JSONLeaves(raw []byte) [][2]string {
	var all [][2]string
	for name, text := range jsonLeaves(raw) {
		all = append(all, [2]string{name, text})
	}
	return all
}

// ContractLines writes proposed values as doctor prints them.
func ContractLines(values map[string]any) []string {
	var l contractLines
	for _, key := range slices.Sorted(maps.Keys(values)) {
		l.set(key, values[key], noteTried)
	}
	return l.view().Lines
}
