// Command generate writes what the packages hold besides the program and hand-written files: manual pages, shell completions, the
// number of the newest ledger schema, and the bill of materials of the program. It is not part of the program, so that the
// generators cost it nothing.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"askara-sync/cli"
	"askara-sync/store"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: SOURCE_DATE_EPOCH=SECONDS generate DIRECTORY PROGRAM VERSION")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2], os.Args[3], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate writes into dir: man/*.1, completions/*, schema and sbom.json. They bear the date that epoch says, so that they are the same
// each time.
func generate(dir, program, version, epoch string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return errors.New("SOURCE_DATE_EPOCH must be the commit's time in seconds")
	}
	date := time.Unix(seconds, 0).UTC()
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	if err := errors.Join(os.MkdirAll(man, 0o755), os.MkdirAll(completions, 0o755)); err != nil {
		return err
	}
	root := cli.Command(cli.Env{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard})
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: "askara-sync " + version, Manual: "askara-sync"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	if err := writeCompletions(root, completions); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "schema"), []byte(strconv.Itoa(store.SchemaVersion())+"\n"), 0o644); err != nil {
		return err
	}
	return writeSBOM(filepath.Join(dir, "sbom.json"), program, version, date)
}

func writeCompletions(root *cobra.Command, dir string) error {
	for name, write := range map[string]func(io.Writer) error{
		"askara-sync.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"askara-sync.zsh":  root.GenZshCompletion,
		"askara-sync.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("write completions: %w", err)
		}
	}
	return nil
}
