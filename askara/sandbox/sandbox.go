// Package sandbox is an Askara in memory: tokens that burn, a bucket that empties, lists that move while they are read, and a
// switch for every dialect and fault that the real service might show. Tests, the demo and the benchmarks run against it.
//
// It knows nothing of the client and shares no code with it, so that each checks the other. It keeps count of what a client must
// never do: send a burned refresh token again, carry the bearer token to another host, run into a 429, confirm what it has not
// downloaded. Time is time.Now, so inside testing/synctest it is the bubble's; chance comes from Config.Seed alone.
//
// It is no model of Askara's security: its tokens are noise of the right length, and nothing is kept when it ends.
package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultClientID and DefaultClientSecret are what Config leaves out.
	DefaultClientID     = "askara-sandbox"
	DefaultClientSecret = "sandbox-client-secret"
	// DefaultFilesURL is the other host of redirects and links, unless SetFilesURL says otherwise.
	DefaultFilesURL = "https://files.sandbox.example"
)

// Config describes a Server. The zero value is Askara as its documentation shows it.
type Config struct {
	// Prefix is put before every path ("/v1"); "" for none. A request outside it is a 404 and counted as such.
	Prefix string
	// ClientID and ClientSecret are the one application's; "" means the defaults.
	ClientID, ClientSecret string
	// PublicClient: the application has no secret and none is asked for.
	PublicClient bool
	// RedirectURIs are the registered ones; none means any loopback address.
	RedirectURIs []string
	// Scopes that may be asked for; nil means profile, organization, document.
	Scopes []string

	// Burst is the size of the bucket, 0 means 5,000; negative means no limit and no headers.
	Burst int
	// Refill is what comes back every RefillEvery; 0 means 500 and 15 minutes.
	Refill      int
	RefillEvery time.Duration
	// DropByDrop refills evenly instead of all at once.
	DropByDrop bool

	// AccessTTL and RefreshTTL: 0 means one hour and 30 days. DeviceTTL: 0 means 10 minutes. DeviceInterval: 0 means 5 s.
	AccessTTL, RefreshTTL, DeviceTTL, DeviceInterval time.Duration
	// AutoApprove approves every device code as it is issued and every authorization page as it is opened.
	AutoApprove bool

	// Contract and Faults are what the server starts with.
	Contract Dialect
	Faults   Faults
	// Seed decides tokens, uuids, people and faults.
	Seed uint64

	// OnList is called before each page of a list is read, with the number of the list request (from 1). It may add or
	// change documents. OnConfirm is called before a valid confirmation is recorded: what it promises must hold by then.
	// OnDownload is called before a PDF is answered. All are called on the request's goroutine, without a lock held.
	OnList     func(n int)
	OnConfirm  func(uuid string, failed bool)
	OnDownload func(uuid string)
}

// Server is the sandbox. It is safe for concurrent use.
type Server struct {
	config   Config
	current  atomic.Pointer[contract]
	faults   atomic.Pointer[Faults]
	filesURL atomic.Pointer[string]
	lists    atomic.Int64
	approves atomic.Bool // logins are approved without a person

	bucket  *bucket
	logins  *logins
	archive *archive
	tally   *tally
	plans   *plans
}

// New returns a server without documents and logins. It starts no goroutine.
func New(c Config) *Server {
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")
	orString(&c.ClientID, DefaultClientID)
	orString(&c.ClientSecret, DefaultClientSecret)
	orDuration(&c.AccessTTL, time.Hour)
	orDuration(&c.RefreshTTL, 30*24*time.Hour)
	orDuration(&c.DeviceTTL, 10*time.Minute)
	orDuration(&c.DeviceInterval, 5*time.Second)
	orDuration(&c.RefillEvery, 15*time.Minute)
	if c.Burst == 0 {
		c.Burst = 5000
	}
	if c.Refill == 0 {
		c.Refill = 500
	}
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "organization", "document"}
	}
	s := &Server{
		config:  c,
		bucket:  newBucket(c.Burst, c.Refill, c.RefillEvery, c.DropByDrop),
		logins:  newLogins(c),
		archive: newArchive(c.Seed),
		tally:   &tally{},
		plans:   &plans{seed: c.Seed},
	}
	s.SetDialect(c.Contract)
	s.SetFaults(c.Faults)
	s.SetFilesURL(DefaultFilesURL)
	s.SetAutoApprove(c.AutoApprove)
	return s
}

// SetDialect switches the contract; requests that have begun keep the old one.
func (s *Server) SetDialect(d Dialect) { s.current.Store(compile(d, s.config.Prefix)) }

// Dialect returns the contract in force, its defaults filled in.
func (s *Server) Dialect() Dialect { return s.current.Load().Dialect }

// SetFaults switches the faults of requests to come.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// SetAutoApprove says whether logins to come are approved without a person.
func (s *Server) SetAutoApprove(yes bool) { s.approves.Store(yes) }

// SetFilesURL says where Files is served: scheme and host, without a slash at the end.
func (s *Server) SetFilesURL(u string) { u = strings.TrimSuffix(u, "/"); s.filesURL.Store(&u) }

// Handler returns the server itself.
func (s *Server) Handler() http.Handler { return s }

// exchange is one request on its way through the server.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	c      *contract
	kind   Kind
	uuid   string // from the path
	allow  string // methods of the path, where the one asked is not among them or a probe asks
	login  *login // whose bearer token it was
	cut    bool   // the answer did not leave whole
	onLost func() // undoes what the server believes to have told the client
}

// ServeHTTP implements http.Handler. A dropped connection is a panic with http.ErrAbortHandler, as net/http wants it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := s.current.Load()
	x := exchange{w: w, r: r, c: c}
	x.kind, x.uuid, x.allow = c.route(r)
	n := s.tally.begin(x.kind)
	defer s.tally.end()
	if x.kind == KindPage {
		s.page(&x)
		return
	}
	p := s.plans.draw(s.faults.Load(), x.kind, n)
	s.run(&x, p, s.answer)
}

// run answers x with handler under the plan p.
func (s *Server) run(x *exchange, p plan, handler func(*exchange)) {
	if p.idle() {
		handler(x)
		x.settle()
		return
	}
	s.tally.fault(p.fault)
	if s.before(x, p) {
		return
	}
	if !p.recorded() {
		handler(x)
		x.settle()
		return
	}
	w, rec := x.w, newRecorder()
	x.w = rec
	handler(x)
	p.wait(x.r.Context(), After)
	s.after(x, p, w, rec)
}

// settle tells the handler whether its answer has left whole.
func (x *exchange) settle() {
	if x.cut && x.onLost != nil {
		x.onLost()
	}
}

// answer does what the request asks.
func (s *Server) answer(x *exchange) {
	if x.c.DateSkew != 0 {
		x.w.Header().Set("Date", time.Now().Add(x.c.DateSkew).UTC().Format(http.TimeFormat))
	}
	if x.kind != KindToken && x.kind != KindDevice || !x.c.FreeTokens {
		if !s.admit(x) {
			return
		}
	}
	switch x.kind {
	case KindToken:
		s.token(x)
		return
	case KindDevice:
		s.device(x)
		return
	case KindDescription:
		s.describe(x)
		return
	case KindOutside:
		problem(x.w, http.StatusNotFound, "Not Found", "")
		return
	}
	if !s.authorized(x) {
		return
	}
	switch x.kind {
	case KindList:
		s.list(x)
	case KindDocument:
		s.document(x)
	case KindPDF:
		s.pdf(x)
	case KindConfirm:
		s.confirm(x)
	case KindMe:
		s.me(x)
	case KindProbe:
		s.probe(x)
	case KindWebhook:
		s.webhook(x)
	default:
		if x.allow != "" {
			x.w.Header().Set("Allow", x.allow)
			problem(x.w, http.StatusMethodNotAllowed, "Method Not Allowed", "")
			return
		}
		problem(x.w, http.StatusNotFound, "Not Found", "")
	}
}

// send is the function send, and notices when the client has left.
func (x *exchange) send(status int, contentType string, body []byte) {
	gone := x.r.Context().Err() != nil
	if send(x.w, status, contentType, body) != nil || gone {
		x.cut = true
	}
}

// send answers with a whole body.
func send(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// problem answers as API Platform does.
func problem(w http.ResponseWriter, status int, title, detail string) {
	b := append([]byte(`{"title":`), appendString(nil, title)...)
	if detail != "" {
		b = append(append(b, `,"detail":`...), appendString(nil, detail)...)
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"type":"/errors/`...)
	b = strconv.AppendInt(b, int64(status), 10)
	send(w, status, "application/problem+json; charset=utf-8", append(b, `"}`...))
}

func orString(s *string, v string) {
	if *s == "" {
		*s = v
	}
}

func orDuration(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}
