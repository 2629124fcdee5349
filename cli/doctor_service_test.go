package cli_test

import (
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

func TestDoctorExaminesTheService(t *testing.T) {
	tests := []struct {
		name    string
		config  sandbox.Config
		more    string
		seed    func(l *askara.Login)
		before  func(s *sandbox.Server)
		check   string
		level   string
		text    string
		remedy  string
		code    int
		nothing bool // nobody is logged in
	}{
		{name: "nobody logged in", nothing: true, check: "login", level: "fail", text: "nobody", remedy: "askara-sync login", code: cli.ExitLogin},
		{name: "nobody logged in, and it answers", nothing: true, check: "server", level: "ok", text: "wants a login", code: cli.ExitLogin},
		{name: "login revoked", before: func(s *sandbox.Server) { s.Revoke("") }, check: "me", level: "fail", text: "log in again",
			remedy: "askara-sync login", code: cli.ExitLogin},
		{name: "access token dead", before: func(s *sandbox.Server) { s.ExpireAccess("") }, check: "me", level: "ok", text: "is user"},
		{name: "wrong client secret", seed: func(l *askara.Login) { l.Tokens.AccessExpiresAt = time.Now() },
			config: sandbox.Config{ClientSecret: "another"}, check: "me", level: "fail", text: "client", remedy: "client_secret", code: cli.ExitConfiguration},
		{name: "scope missing", config: sandbox.Config{Contract: sandbox.Dialect{RequiredScope: "document"}}, check: "me", level: "fail", text: "403",
			remedy: "api.scopes", code: cli.ExitConfiguration},
		{name: "me by POST", config: sandbox.Config{Contract: sandbox.Dialect{MePost: true}}, check: "me", level: "ok", text: "is user"},
		{name: "Askara down", before: func(s *sandbox.Server) {
			s.SetFaults(sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.ErrorBefore}})
		},
			check: "me", level: "fail", text: "50", code: cli.ExitUnfinished},
		{name: "clock a little off", config: sandbox.Config{Contract: sandbox.Dialect{DateSkew: 3 * time.Minute}}, check: "clock", level: "warn", text: "behind",
			remedy: "timedatectl"},
		{name: "clock wrong", config: sandbox.Config{Contract: sandbox.Dialect{DateSkew: -2 * time.Hour}}, check: "clock", level: "fail", text: "ahead of",
			remedy: "timedatectl", code: cli.ExitConfiguration},
		{name: "no rate headers", config: sandbox.Config{Contract: sandbox.Dialect{LimitHeaders: sandbox.HeadersAbsent}}, check: "rate limit", level: "warn",
			text: "do not tell", remedy: "limits.burst"},
		{name: "broken rate headers", config: sandbox.Config{Contract: sandbox.Dialect{LimitHeaders: sandbox.HeadersGarbage}}, check: "rate limit", level: "warn",
			text: "no sense", remedy: "limits.burst"},
		{name: "budget nearly spent", before: func(s *sandbox.Server) { s.SpendBudget(4960) }, check: "rate limit", level: "warn", text: "of 5000", remedy: "wait"},
		{name: "budget spent", before: func(s *sandbox.Server) { s.SpendBudget(5000) }, check: "api", level: "warn", text: "429", remedy: "again"},
		{name: "confirm unseen", config: sandbox.Config{Contract: sandbox.Dialect{ConfirmPath: "/a/{uuid}/b", Description: sandbox.DescriptionNone}}, check: "confirm",
			level: "warn", text: "cannot be seen", remedy: "doctor --confirm UUID"},
		{name: "PDFs nowhere", config: sandbox.Config{Contract: sandbox.Dialect{PDFPath: "/a/{uuid}/b", Description: sandbox.DescriptionNone}}, check: "pdf",
			level: "fail", text: "404", remedy: "api.contract.pdf_path", code: cli.ExitConfiguration},
		{name: "lists nowhere", config: sandbox.Config{Contract: sandbox.Dialect{DocumentsPath: "/a/b", Description: sandbox.DescriptionNone}}, check: "list",
			level: "fail", text: "404", remedy: "api.contract.documents_path", code: cli.ExitConfiguration},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newClinic(t, tt.config, tt.more)
			if !tt.nothing {
				g.seed(t, tt.seed)
			}
			g.server.Add(3, sandbox.Document{})
			if tt.before != nil {
				tt.before(g.server)
			}
			v := g.examine(t, tt.code)
			wantCheck(t, v, tt.check, tt.level, tt.text)
			for _, c := range checks(v, tt.check) {
				if tt.remedy != "" && (c.Remedy == nil || !strings.Contains(*c.Remedy, tt.remedy)) {
					t.Errorf("the remedy is %v, want one with %q", c.Remedy, tt.remedy)
				}
			}
			if len(v.Contract.Lines) > 0 {
				t.Errorf("lines are proposed: %q", v.Contract.Lines)
			}
		})
	}
}

func TestDoctorConfirmsWhereItIsTold(t *testing.T) {
	hidden := sandbox.Dialect{NoAllow: true, Description: sandbox.DescriptionNone}
	other := hidden
	other.ConfirmPath = "/a/{uuid}/b"
	allowed := hidden
	allowed.ConfirmMethod = "POST" // with the media type of a PATCH
	derived := sandbox.Dialect{ConfirmMethod: "PUT", ConfirmContentType: "application/json"}
	for _, tt := range []struct {
		name      string
		dialect   sandbox.Dialect
		level     string
		code      int
		confirmed int
		note      string
	}{
		{"as configured", hidden, "ok", cli.ExitDone, 1, ""},
		{"in another way, unknown", other, "fail", cli.ExitConfiguration, 0, ""},
		{"in another way, allowed", allowed, "fail", cli.ExitConfiguration, 1, "tried on the document that you named"},
		{"in another way, derived", derived, "fail", cli.ExitConfiguration, 1, "tried on the document that you named"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := healthy(t, sandbox.Config{Contract: tt.dialect}, "")
			uuid := g.server.Documents()[2].UUID
			v := g.examine(t, tt.code, "--confirm", uuid)
			wantCheck(t, v, "confirm", tt.level, "")
			for _, d := range g.server.Documents() {
				if got := len(d.Confirms); got > 0 && d.UUID != uuid {
					t.Errorf("document %s was confirmed, which nobody named", d.UUID)
				}
			}
			if got := g.server.Stats().Confirmed; got != tt.confirmed {
				t.Errorf("%d confirmations, want %d", got, tt.confirmed)
			}
			for _, line := range v.Contract.Lines {
				if strings.HasPrefix(line, "confirm") && !strings.HasSuffix(line, "# "+tt.note) {
					t.Errorf("the line %q is not noted as %q", line, tt.note)
				}
			}
		})
	}
}
