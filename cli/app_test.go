package cli_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/cli"
	"askara-sync/store"
	"askara-sync/sync"
)

func TestSamePlace(t *testing.T) {
	base := cli.Sink{Type: "sqlite", Path: "/srv/a.db", Table: "t", Content: "file", Folder: "/srv/files", Insert: "i", Exists: "e"}
	if !cli.SamePlace(base, base) {
		t.Error("a place is not the same as itself")
	}
	for what, change := range map[string]func(*cli.Sink){
		"path":    func(s *cli.Sink) { s.Path = "/srv/b.db" },
		"table":   func(s *cli.Sink) { s.Table = "u" },
		"insert":  func(s *cli.Sink) { s.Insert = "j" },
		"exists":  func(s *cli.Sink) { s.Exists = "" },
		"content": func(s *cli.Sink) { s.Content = "inline" },
		"folder":  func(s *cli.Sink) { s.Folder = "/srv/others" },
	} {
		other := base
		change(&other)
		if cli.SamePlace(base, other) {
			t.Errorf("two places that differ in %s are taken for one", what)
		}
	}
}

func TestWaitingForAnotherPassIsNotBeingStuck(t *testing.T) {
	ledger, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	synctest.Test(t, func(t *testing.T) {
		unlock, err := ledger.LockPass(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		pulse := sync.NewPulse()
		done := make(chan error, 1)
		go func() {
			unlock, err := cli.LockPass(ctx, ledger, "default", pulse)
			if err == nil {
				unlock()
			}
			done <- err
		}()
		time.Sleep(10 * time.Minute)
		if !pulse.Alive(time.Minute) {
			t.Error("after ten minutes of waiting the loop counts as stuck")
		}
		unlock()
		if err := <-done; err != nil {
			t.Errorf("once the other pass was over: %v", err)
		}
		cancel()
	})
}
