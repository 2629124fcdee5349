package askara

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// acceptPDF is what section 6 of the API's description guesses.
const acceptPDF = "application/pdf, */*"

const hintSize = "if the document is right, raise limits.max_document_size and run \"askara-sync retry\""

// Download opens the document's PDF. The answer may be the PDF itself, a redirect to another host, or JSON with a link or with
// base64 (section 6 of the API's description); a link to another host is fetched without the token. Whether the bytes are a PDF
// is for the caller to see. At most MaxDocumentSize bytes are given; an error of Body's Read is an *Error like any other. The
// caller closes Body.
func (c *Client) Download(ctx context.Context, d Document) (*Content, error) {
	if !usableUUID(d.UUID) {
		return nil, unusable(opDownload)
	}
	r := request{call: call{op: opDownload, uuid: d.UUID, work: WorkFrom(ctx, WorkDownload)},
		method: http.MethodGet, accept: acceptPDF, anywhere: true}
	if c.contract.PDFPath != "" {
		r.url = endpoint(c.base, c.contract.PDFPath, d.UUID)
		return c.fetch(ctx, r, true)
	}
	r.url = endpoint(c.base, c.contract.DocumentPath, d.UUID)
	if d.Link != "" {
		from, err := url.Parse(r.url)
		if err != nil {
			return nil, c.badLink(r, "the address is unusable")
		}
		content, err := c.follow(ctx, r, from, d.Link)
		if e, ok := errors.AsType[*Error](err); !ok || e.Op != opLink || e.Status/100 != 4 {
			return content, err
		}
		// A signed link that was listed a while ago has expired: the document itself has a new one.
	}
	r.accept = acceptJSON
	return c.fetch(ctx, r, true)
}

// fetch opens what r answers; a link in it is followed where follow says so.
func (c *Client) fetch(ctx context.Context, r request, follow bool) (*Content, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	body := &pdf{client: c, r: r, resp: resp, src: resp.Body, left: c.maxSize}
	size := resp.ContentLength
	if encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding == "gzip" || encoding == "x-gzip" {
		// Stores of files do that unasked, when the file was put there so. The limit is on what comes out.
		if body.src, err = gzip.NewReader(resp.Body); err != nil {
			body.Close()
			return nil, body.explain(err)
		}
		size = -1
	} else if encoding != "" && encoding != "identity" {
		body.Close()
		return nil, c.badLink(r, "the answer is compressed in a way that was not asked for")
	}
	if !isJSON(resp) {
		return body.content(size)
	}
	return c.fetchJSON(ctx, body, size, follow)
}

// fetchJSON opens the PDF in, or behind, an answer that calls itself JSON.
func (c *Client) fetchJSON(ctx context.Context, body *pdf, size int64, follow bool) (*Content, error) {
	// Base64 takes four bytes for three; twice the size leaves room for escapes and the rest of the document.
	body.reader = c.readers.take(&bounded{src: body.src, left: 2*c.maxSize + maxAnswer})
	body.src = body.reader
	if head, _ := body.reader.Peek(len("%PDF-")); string(head) == "%PDF-" {
		return body.content(size) // only the label was wrong
	}
	in := inline{r: body.reader, contract: &c.contract}
	found, err := in.find()
	if err != nil {
		body.Close()
		return nil, body.explain(err)
	}
	if found != nil {
		body.src = found
		return body.content(-1)
	}
	body.Close()
	switch {
	case in.link == "":
		return nil, c.badLink(body.r, "the answer is JSON with neither a link nor a PDF")
	case !follow:
		return nil, c.badLink(body.r, "the link leads to another link")
	}
	return c.follow(ctx, body.r, body.resp.Request.URL, in.link)
}

// follow fetches a link that stood in an answer from the given address.
func (c *Client) follow(ctx context.Context, r request, from *url.URL, link string) (*Content, error) {
	to, err := from.Parse(link)
	if err != nil {
		return nil, c.badLink(r, "the link is no address")
	}
	if !c.gate.safe(to) {
		return nil, c.badLink(r, "the link is not https")
	}
	r.url, r.accept = to.String(), acceptPDF
	if !sameOrigin(to, c.base) {
		r.op, r.foreign = opLink, true
	}
	return c.fetch(ctx, r, false)
}

// badLink is an answer that does not lead to a PDF.
func (c *Client) badLink(r request, why string) *Error {
	return &Error{Op: r.op, UUID: r.uuid, Kind: FaultDocument, Err: errors.New(why),
		hint: `run "askara-sync doctor": it looks where a document has its PDF, and prints the lines of [api.contract] for it`}
}

// pdf is the body of a Content.
type pdf struct {
	client *Client
	r      request
	resp   *http.Response
	src    io.Reader
	reader *bufio.Reader // to be given back, nil where none was taken
	left   int64
	err    error
}

// content hands the body over, unless it announces more than is allowed.
func (p *pdf) content(size int64) (*Content, error) {
	if size > p.client.maxSize {
		p.Close()
		return nil, p.tooLong()
	}
	return &Content{Body: p, Size: size}, nil
}

// Read implements io.Reader. Its errors are *Error.
func (p *pdf) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.src.Read(b)
	if int64(n) > p.left {
		n = int(p.left)
		p.err = p.tooLong()
		return n, p.err
	}
	p.left -= int64(n)
	if err != nil {
		if p.err = err; err != io.EOF {
			p.err = p.explain(err)
		}
	}
	return n, p.err
}

// Close implements io.Closer.
func (p *pdf) Close() error {
	err := p.resp.Body.Close()
	if p.err == nil {
		p.err = http.ErrBodyReadAfterClose
	}
	if p.reader != nil {
		p.client.readers.give(p.reader)
		p.reader = nil
	}
	return err
}

func (p *pdf) tooLong() *Error {
	return &Error{Op: p.r.op, UUID: p.r.uuid, Status: p.resp.StatusCode, Kind: FaultPermanent,
		Err: fmt.Errorf("the document is longer than %d bytes", p.client.maxSize), hint: hintSize}
}

// explain sorts an error of reading: what came is wrong, or the way broke.
func (p *pdf) explain(err error) *Error {
	_, base64Broken := errors.AsType[base64.CorruptInputError](err)
	_, flateBroken := errors.AsType[flate.CorruptInputError](err)
	wrong := base64Broken || flateBroken || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, errNotJSON) || errors.Is(err, errTooDeep) || errors.Is(err, errTooLong)
	if wrong {
		return &Error{Op: p.r.op, UUID: p.r.uuid, Status: p.resp.StatusCode, Kind: FaultDocument, Err: err}
	}
	e := unanswered(p.r.op, p.r.uuid, err)
	e.Status = p.resp.StatusCode
	return e
}

// errTooLong is a JSON answer that no document within the limit needs.
var errTooLong = errors.New("the answer is too long")

// bounded is a reader that fails, rather than ends, after so many bytes.
type bounded struct {
	src  io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.src.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// readers keeps the buffers of answers in base64.
type readers struct{ pool sync.Pool }

func (r *readers) take(src io.Reader) *bufio.Reader {
	if reader, ok := r.pool.Get().(*bufio.Reader); ok {
		reader.Reset(src)
		return reader
	}
	return bufio.NewReaderSize(src, inlineBuffer)
}

func (r *readers) give(reader *bufio.Reader) {
	reader.Reset(nil)
	r.pool.Put(reader)
}
