package askara_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

const deviceJSON = `{"device_code":"dev","user_code":"WDJBMJHT","verification_uri":"https://app.askara.ai/device",` +
	`"verification_uri_complete":"https://app.askara.ai/device?user_code=WDJBMJHT","expires_in":600,"interval":5}`

// polls answers one poll after the other, the last one again and again, and notes when they came.
func polls(at *[]time.Duration, answers ...roundTrip) roundTrip {
	start := time.Now()
	return func(r *http.Request) (*http.Response, error) {
		*at = append(*at, time.Since(start))
		n := min(len(*at), len(answers))
		return answers[n-1](r)
	}
}

func drop(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func oauthError(status int, code string) roundTrip { return says(status, `{"error":"`+code+`"}`) }

// TestPoll follows RFC 8628 to the second.
func TestPoll(t *testing.T) {
	pending, slower, granted := oauthError(400, "authorization_pending"), oauthError(400, "slow_down"), says(200, pairJSON)
	tests := []struct {
		name    string
		answers []roundTrip
		at      []time.Duration // in seconds
		fault   askara.Fault    // of the error; -1 for none
		reason  string
	}{
		{"granted", []roundTrip{pending, pending, granted}, []time.Duration{5, 10, 15}, -1, ""},
		{"slow_down lasts", []roundTrip{slower, pending, slower, pending, granted}, []time.Duration{5, 15, 25, 40, 55}, -1, ""},
		{"lost connections", []roundTrip{pending, drop, drop, pending, granted}, []time.Duration{5, 10, 20, 40, 45}, -1, ""},
		{"failing server", []roundTrip{says(502, "<html>"), says(200, "<html>"), granted}, []time.Duration{5, 15, 35}, -1, ""},
		{"limited", []roundTrip{limited, granted}, []time.Duration{5, 95}, -1, ""},
		{"denied", []roundTrip{pending, oauthError(401, "access_denied")}, []time.Duration{5, 10}, askara.FaultLogin, "refused in the browser"},
		{"denied, 400", []roundTrip{oauthError(400, "access_denied")}, []time.Duration{5}, askara.FaultLogin, "refused in the browser"},
		{"too late", []roundTrip{oauthError(400, "expired_token")}, []time.Duration{5}, askara.FaultLogin, "expired"},
		{"unknown", []roundTrip{oauthError(400, "invalid_grant")}, []time.Duration{5}, askara.FaultLogin, "does not know"},
		{"used", []roundTrip{oauthError(400, "invalid_request")}, []time.Duration{5}, askara.FaultLogin, "used already"},
		{"secret", []roundTrip{oauthError(401, "invalid_client")}, []time.Duration{5}, askara.FaultConfiguration, "invalid_client"},
		{"grant", []roundTrip{oauthError(400, "unsupported_grant_type")}, []time.Duration{5}, askara.FaultConfiguration, "unsupported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Duration
				e := tokenEndpoint(t, "https://askara.test", polls(&at, tt.answers...))
				got, err := e.PollDevice(t.Context(), grant(10*time.Minute))
				if tt.fault == -1 && (err != nil || got.Refresh != "def5020new") {
					t.Errorf("got %v", err)
				}
				if tt.fault != -1 && (err == nil || askara.FaultOf(err) != tt.fault || !strings.Contains(err.Error(), tt.reason) || askara.HintOf(err) == "") {
					t.Errorf("got %v (fault %d, hint %q), want %q", err, askara.FaultOf(err), askara.HintOf(err), tt.reason)
				}
				for i := range tt.at {
					tt.at[i] *= time.Second
				}
				if !slices.Equal(at, tt.at) {
					t.Errorf("polled at %v, want %v", at, tt.at)
				}
			})
		})
	}
}

func limited(r *http.Request) (*http.Response, error) {
	resp, err := says(429, "")(r)
	resp.Header.Set("Retry-After", "90")
	return resp, err
}

func grant(life time.Duration) askara.DeviceGrant {
	return askara.DeviceGrant{DeviceCode: "dev", UserCode: "WDJBMJHT", ExpiresAt: time.Now().Add(life), Interval: 5 * time.Second}
}

// TestPollExpires: without a decision it ends when the code does, and a long outage still leaves one last poll.
func TestPollExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		e := tokenEndpoint(t, "https://askara.test", polls(&at, oauthError(400, "authorization_pending")))
		_, err := e.PollDevice(t.Context(), grant(time.Minute))
		if took := time.Since(start); took != time.Minute || askara.FaultOf(err) != askara.FaultLogin || len(at) != 11 {
			t.Errorf("after %v and %d polls: %v", took, len(at), err)
		}
		at, start = nil, time.Now()
		e = tokenEndpoint(t, "https://askara.test", polls(&at, drop, drop, drop, drop, says(200, pairJSON)))
		if _, err := e.PollDevice(t.Context(), grant(90*time.Second)); err != nil {
			t.Errorf("after %v: %v, want the last poll to succeed", at, err)
		}
	})
}

// TestPollCancelled: Ctrl-C ends it at once.
func TestPollCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		var at []time.Duration
		start := time.Now()
		_, err := tokenEndpoint(t, "https://askara.test", polls(&at, oauthError(400, "authorization_pending"))).PollDevice(ctx, grant(time.Hour))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 12*time.Second || len(at) != 2 {
			t.Errorf("after %v and %d polls: %v", time.Since(start), len(at), err)
		}
	})
}

// TestStartDevice reads what Askara's token software answers, and refuses what must not reach a terminal.
func TestStartDevice(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(deviceJSON, old, new, 1) }
	good := map[string]func(askara.DeviceGrant) bool{
		deviceJSON: func(g askara.DeviceGrant) bool {
			return g.UserCode == "WDJBMJHT" && g.VerificationURI == "https://app.askara.ai/device" && g.VerificationURIComplete != "" &&
				g.Interval == 5*time.Second && time.Until(g.ExpiresAt) == 10*time.Minute
		},
		with(`,"interval":5`, ``):                     func(g askara.DeviceGrant) bool { return g.Interval == 5*time.Second },
		with(`"interval":5`, `"interval":0`):          func(g askara.DeviceGrant) bool { return g.Interval == 5*time.Second },
		with(`"interval":5`, `"interval":"7"`):        func(g askara.DeviceGrant) bool { return g.Interval == 7*time.Second },
		with(`"interval":5`, `"interval":1e9`):        func(g askara.DeviceGrant) bool { return g.Interval == 2*time.Minute },
		with(`"expires_in":600`, `"expires_in":null`): func(g askara.DeviceGrant) bool { return time.Until(g.ExpiresAt) == 10*time.Minute },
		with(`"expires_in":600`, `"expires_in":-1`):   func(g askara.DeviceGrant) bool { return time.Until(g.ExpiresAt) == 10*time.Minute },
		with(`https://app.askara.ai/device?`, `javascript:alert(`): func(g askara.DeviceGrant) bool {
			return g.VerificationURIComplete == "" && g.VerificationURI != ""
		},
		with(`"https://app.askara.ai/device"`, `"http://127.0.0.1:5/device"`): func(g askara.DeviceGrant) bool { return g.VerificationURI != "" },
	}
	bad := []string{
		``, `<html>`, `[]`, `{}`, with(`"dev"`, `""`), with(`"dev"`, `"a b"`), with(`"WDJBMJHT"`, `"\u001b]0;x\u0007"`), with(`"WDJBMJHT"`, `""`),
		with(`"WDJBMJHT"`, `"`+strings.Repeat("A", 100)+`"`), with(`"https://app.askara.ai/device"`, `"http://app.askara.ai/device"`),
		with(`"https://app.askara.ai/device"`, `"https://app.askara.ai/\u001b[2J"`), with(`"https://app.askara.ai/device"`, `"https://a@b/"`),
		strings.Repeat(" ", 70<<10) + deviceJSON,
	}
	synctest.Test(t, func(t *testing.T) {
		for body, ok := range good {
			g, err := tokenEndpoint(t, "https://askara.test", says(200, body)).StartDevice(t.Context(), []string{"profile", "organization"})
			if err != nil || !ok(g) {
				t.Errorf("%s: %+v, %v", body, g, err)
			}
		}
		for _, body := range bad {
			if _, err := tokenEndpoint(t, "https://askara.test", says(200, body)).StartDevice(t.Context(), nil); askara.FaultOf(err) != askara.FaultService {
				t.Errorf("%.200s: %v, want Askara's trouble", body, err)
			}
		}
		_, err := tokenEndpoint(t, "https://askara.test", says(404, "")).StartDevice(t.Context(), nil)
		if !strings.Contains(askara.HintOf(err), "device_path") || !strings.Contains(askara.HintOf(err), "--browser") {
			t.Errorf("a wrong path: %v, hint %q", err, askara.HintOf(err))
		}
	})
}

// FuzzDeviceAnswer: what is shown cannot control a terminal, and waiting ends.
func FuzzDeviceAnswer(f *testing.F) {
	f.Add([]byte(deviceJSON))
	f.Add([]byte(`{"device_code":"d","user_code":"\u001b[2J","verification_uri":"https://a/"}`))
	f.Add([]byte(`{"device_code":"d","user_code":"A","verification_uri":"https://a/","interval":1e308,"expires_in":"1e308"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := tokenEndpoint(t, "https://askara.test", says(200, string(body))).StartDevice(t.Context(), nil)
		if err != nil {
			if askara.FaultOf(err) != askara.FaultService {
				t.Errorf("fault %d: %v", askara.FaultOf(err), err)
			}
			return
		}
		for _, r := range fmt.Sprint(g.UserCode, g.VerificationURI, g.VerificationURIComplete) {
			if r < ' ' || r >= 0x7f {
				t.Errorf("shows %q", r)
			}
		}
		if g.Interval < time.Second || g.Interval > 2*time.Minute || time.Until(g.ExpiresAt) > 24*time.Hour || g.VerificationURI == "" {
			t.Errorf("interval %v, ends %v", g.Interval, g.ExpiresAt)
		}
	})
}
