package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"askara-sync/sink"
)

// DoctorView is what doctor --json prints. It is an interface and only ever grows.
type DoctorView struct {
	Checks   []DoctorCheck  `json:"checks"`
	Contract DoctorContract `json:"contract"`
	// Requests is how many requests Askara was asked.
	Requests int `json:"requests"`
}

// DoctorCheck is one thing that was looked at.
type DoctorCheck struct {
	Name string `json:"name"`
	// Level is ok, warn or fail.
	Level string `json:"level"`
	Text  string `json:"text"`
	// Remedy is nil where nothing is to be done.
	Remedy *string `json:"remedy"`
}

// DoctorContract is what the configuration should say of the API.
type DoctorContract struct {
	// Lines are TOML; empty where the configuration fits. The first is the table's header, unless the file has the table already.
	Lines []string `json:"lines"`
	// Replaced names lines of the configuration file, by number, that these stand in place of.
	Replaced []int `json:"replaced"`
}

// print writes the report for a person, or as JSON.
func (r *doctorReport) print(w io.Writer, asJSON, colour bool) error {
	contract := r.lines.view()
	if asJSON {
		return json.NewEncoder(w).Encode(DoctorView{Checks: r.checks, Contract: contract, Requests: r.requests})
	}
	p := &statusPage{w: w, colour: colour}
	width := 0
	for _, c := range r.checks {
		width = max(width, len(c.Name))
	}
	count := map[string]int{}
	for _, c := range r.checks {
		count[c.Level]++
		p.printf("%s  %-*s  %s\n", p.paint(levelColour(c.Level), fmt.Sprintf("%-4s", c.Level)), width, c.Name, indented(c.Text, width))
		if c.Remedy != nil {
			p.printf("      %-*s  → %s\n", width, "", indented(*c.Remedy, width+2))
		}
	}
	p.printf("\n%d ok, %d to know of, %d failed", count["ok"], count["warn"], count["fail"])
	if r.requests > 0 {
		p.printf(" · %d %s to Askara", r.requests, plural(r.requests, "request", "requests"))
	}
	p.printf("\n")
	if len(contract.Lines) > 0 {
		p.printf("\n%s\n\n%s\n", r.lines.instruction(contract), strings.Join(contract.Lines, "\n"))
	}
	return p.err
}

// indented puts what follows a line's end under the text.
func indented(text string, width int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", width+8))
}

func levelColour(level string) string {
	switch level {
	case sink.LevelOK.String():
		return green
	case sink.LevelWarn.String():
		return yellow
	}
	return red
}
