package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"askara-sync/cli"
)

// TestReadme parses every configuration that the README shows, and runs every command line of it as far as its flags go.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	if n := strings.Count(readme, "\n"); n > 200 {
		t.Errorf("the README has %d lines, more than 200", n)
	}
	configs := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(configs) < 6 {
		t.Fatalf("the README shows %d configurations", len(configs))
	}
	for _, c := range configs {
		if _, err := cli.Parse([]byte(minimal+c[1]), environ()); err != nil {
			t.Errorf("%v\nin\n%s", err, c[1])
		}
	}
	if !strings.Contains(readme, insertStatement(t)) {
		t.Error("the insert statement of the README is not the one that is tested")
	}
	root := cli.Command(cli.Env{Getenv: environ(), Stdout: &strings.Builder{}, Stderr: &strings.Builder{}})
	lines := regexp.MustCompile(`(?m)^\$ (?:sudo )?askara-sync ([^#\n]*)`).FindAllStringSubmatch(readme, -1)
	if len(lines) < 8 {
		t.Fatalf("the README shows %d command lines", len(lines))
	}
	for _, line := range lines {
		cmd, rest, err := root.Find(strings.Fields(line[1]))
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("askara-sync %s: %v", line[1], err)
		}
	}
}

// insertStatement is the one for PostgreSQL that the destinations' own tests run.
func insertStatement(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../sink/testdata/practice/postgres.insert.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
