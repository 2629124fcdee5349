package cli

import "time"

// StatusView is what status shows, and with --json what it prints: the tags are an interface that only ever grows. A nil pointer is
// an absent value and printed as null.
type StatusView struct {
	Accounts []AccountView `json:"accounts"`
	Budget   BudgetView    `json:"budget"`
	Daemon   DaemonView    `json:"daemon"`
}

// AccountView is one account's part.
type AccountView struct {
	Name      string        `json:"name"`
	Login     LoginView     `json:"login"`
	Cursor    *time.Time    `json:"cursor"`
	Documents DocumentsView `json:"documents"`
	LastPass  *PassView     `json:"last_pass"`
	// NextPassAt is nil where no daemon runs.
	NextPassAt *time.Time `json:"next_pass_at"`
	// Waiting groups the pending documents by why they wait, the largest group first; those of the next pass have no reason.
	Waiting []WaitingView `json:"waiting"`
	// Parked lists the documents that wait for a person, the oldest first.
	Parked []ParkedView `json:"parked"`
}

// LoginView is an account's login.
type LoginView struct {
	State            string     `json:"state"`
	RefreshExpiresAt *time.Time `json:"refresh_expires_at"`
	// Reason says why State is not ok; nil where it is.
	Reason *string `json:"reason"`
	// RetryAt is when an uncertain login is tried again by itself.
	RetryAt *time.Time `json:"retry_at"`
}

// DocumentsView counts documents. Delivered holds the confirmed ones too.
type DocumentsView struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"`
	Confirmed int `json:"confirmed"`
	Parked    int `json:"parked"`
	// Today and Week count what was delivered since midnight and in the last 7 days.
	Today int `json:"today"`
	Week  int `json:"week"`
	// Unconfirmed counts what is delivered and still to be confirmed.
	Unconfirmed int `json:"unconfirmed"`
}

// PassView is a pass that has ended.
type PassView struct {
	StartedAt  time.Time `json:"started_at"`
	DurationMS int64     `json:"duration_ms"`
	Listed     int       `json:"listed"`
	Delivered  int       `json:"delivered"`
	Failed     int       `json:"failed"`
	// Error is nil after a success.
	Error *string `json:"error"`
}

// WaitingView is a group of documents that wait for the same reason.
type WaitingView struct {
	Count  int     `json:"count"`
	Reason *string `json:"reason"`
	// NextAttemptAt is when the first of them is tried again.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
}

// ParkedView is a document that waits for a person.
type ParkedView struct {
	UUID   string `json:"uuid"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy"`
}

// BudgetView is Askara's request limit as it was last heard of.
type BudgetView struct {
	Limit     *int       `json:"limit"`
	Remaining *int       `json:"remaining"`
	ResetsAt  *time.Time `json:"resets_at"`
}

// DaemonView says whether a daemon runs on this state directory.
type DaemonView struct {
	Running bool `json:"running"`
	PID     *int `json:"pid"`
}

// present returns a pointer to v, nil for the zero value.
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// moment returns a pointer to t for a view, nil for the zero time.
func moment(t time.Time, loc *time.Location) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.In(loc).Truncate(time.Second)
	return &t
}
