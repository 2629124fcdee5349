package askara

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxRetries is few: a pass comes back in minutes, and every attempt costs the clinic's budget.
	maxRetries = 2
	// retryWait is the first wait, doubled each time.
	retryWait = 500 * time.Millisecond
	// maxRetryWait bounds a wait. A server that asks for more is not asked again here: the pass goes on with something else.
	// It also bounds how long a stop of the program waits for it.
	maxRetryWait = time.Second
	// maxRedirects is more than a signed link needs.
	maxRedirects = 5
)

// newRetrying returns a client for idempotent requests: everything that goes through it may be sent twice.
func newRetrying(client *http.Client) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   client,
		Logger:       nil, // its own would log whole URLs
		RetryMax:     maxRetries,
		RetryWaitMin: retryWait,
		RetryWaitMax: maxRetryWait,
		CheckRetry:   worthRetrying,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// worthRetrying says whether the same request may succeed within seconds. 429 never does: the limiter knows when.
func worthRetrying(ctx context.Context, resp *http.Response, err error) (bool, error) {
	wait, cancel := Waiting(ctx)
	defer cancel()
	if wait.Err() != nil {
		return false, nil
	}
	if err != nil {
		if _, ok := errors.AsType[*notSentError](err); ok {
			return false, nil
		}
		_, redirected := errors.AsType[*redirectError](err)
		return !redirected && !isTLS(err) && !errors.Is(err, errSilent), nil
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryAfter(resp.Header, time.Now()) <= maxRetryWait, nil
	}
	return false, nil
}

// backoff is how long to wait before attempt number n+2. Half of it is chance, so that the workers, and the clinics, do not come
// back at the same instant.
func backoff(least, most time.Duration, n int, resp *http.Response) time.Duration {
	wait := min(least<<n, most)
	wait = wait/2 + rand.N(wait/2+1)
	if resp != nil {
		wait = max(wait, retryAfter(resp.Header, time.Now()))
	}
	return min(wait, most)
}

// redirectError is a redirect that is not followed.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return e.why }

// stay follows redirects within the API's own host. One that leads elsewhere is handed to the caller as it is: what answers there
// is no list. Neither is one of a request that writes, which net/http would turn into a GET.
func (g *gate) stay(req *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet || !sameOrigin(req.URL, g.own) {
		return http.ErrUseLastResponse
	}
	return g.travel(req, via)
}

// travel follows redirects to any host, as a document's file may be anywhere; the token stays behind.
func (g *gate) travel(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return &redirectError{"redirected too often"}
	}
	if !g.safe(req.URL) {
		return &redirectError{"redirected to an address that is not https"}
	}
	return nil
}

// safe says whether a document may be fetched from u: nothing travels less protected than the API itself.
func (g *gate) safe(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && g.own.Scheme == "http")
}
