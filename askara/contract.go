package askara

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Contract holds every fact of the API that Askara does not document, so that a wrong guess is mended by a line of
// configuration instead of a new program. The tags say how sure a fact is: [D] documented, [I] inferred from the software that
// Askara visibly uses, [?] unknown, a guess. Each field's toml tag is its key under [api.contract].
//
// Paths are relative to the base URL, also where they begin with a slash: a prefix in the base is kept. {uuid} stands for the
// document's.
type Contract struct {
	// TokenPath [D] is named here because a staging environment may differ.
	TokenPath string `toml:"token_path"`
	// DevicePath [?]: the device flow is documented, its address is not.
	DevicePath string `toml:"device_path"`
	// PKCE [I]: Askara does not mention it. Its token software accepts it; the consent page is its own and may not.
	PKCE bool `toml:"pkce"`

	// DocumentsPath [I] is the list, by analogy with the lists that are documented.
	DocumentsPath string `toml:"documents_path"`
	// DocumentPath [I] is one document.
	DocumentPath string `toml:"document_path"`
	// PDFPath [?] answers with the PDF. "" means: follow the link in the document itself.
	PDFPath string `toml:"pdf_path"`
	// LinkFields [?]: where a document, or a JSON answer in place of a PDF, may hold a link to it; the first that is there counts.
	LinkFields []string `toml:"link_fields"`
	// ContentFields [?]: where a JSON answer in place of a PDF may hold it in base64.
	ContentFields []string `toml:"content_fields"`
	// NotReadyStatus [?]: statuses of the PDF answer that mean "not yet" rather than "no".
	NotReadyStatus []int `toml:"not_ready_status"`

	// OrderField [I] is the date by which lists are ordered and bounded.
	OrderField string `toml:"order_field"`
	// SinceParameter [I] is the query parameter of the inclusive lower bound; {order_field} stands for OrderField.
	SinceParameter string `toml:"since_parameter"`
	// Query [I] is added to every list request, and replaces what we would send under the same name.
	Query map[string]string `toml:"query"`
	// ReadyStatus [?]: values of a document's status with which it may be delivered. A document without a status may.
	ReadyStatus []string `toml:"ready_status"`

	// Confirm [D] is asked for by Askara's flow; how to confirm is not documented.
	Confirm bool `toml:"confirm"`
	// ConfirmMethod [?]: PATCH, PUT or POST.
	ConfirmMethod string `toml:"confirm_method"`
	// ConfirmPath [?].
	ConfirmPath string `toml:"confirm_path"`
	// ConfirmContentType [?]: what the default software demands of a PATCH.
	ConfirmContentType string `toml:"confirm_content_type"`
	// ConfirmSuccess [?] is the body after a success; {uuid} may stand in it.
	ConfirmSuccess string `toml:"confirm_success"`
	// ConfirmFailure [?] is the body after a failure; {reason}, inside a JSON string, stands for the reason, and {uuid} may too.
	ConfirmFailure string `toml:"confirm_failure"`
}

// DefaultContract returns the best guess.
func DefaultContract() Contract {
	return Contract{
		TokenPath:          "/oauth2/token",
		DevicePath:         "/oauth2/device-code",
		DocumentsPath:      "/documents",
		DocumentPath:       "/documents/{uuid}",
		PDFPath:            "/documents/{uuid}/pdf",
		LinkFields:         []string{"url", "contentUrl", "downloadUrl", "fileUrl"},
		ContentFields:      []string{"content", "base64", "data"},
		NotReadyStatus:     []int{202, 404, 409, 423, 425},
		OrderField:         "updatedAt",
		SinceParameter:     "{order_field}[gte]",
		Query:              map[string]string{},
		ReadyStatus:        []string{"validated"},
		Confirm:            true,
		ConfirmMethod:      "PATCH",
		ConfirmPath:        "/documents/{uuid}",
		ConfirmContentType: "application/merge-patch+json",
		ConfirmSuccess:     `{"synchronizationStatus":"synchronized"}`,
		ConfirmFailure:     `{"synchronizationStatus":"failed","synchronizationError":"{reason}"}`,
	}
}

// Facts that are no setting, since nothing could be done with another value.
const (
	// mePath [D]; GET in the reference, POST in the quickstart, so both are tried.
	mePath = "/me"
	// itemsPerPage [D] is the most that a list gives at once.
	itemsPerPage = 100
	// sinceLayout [D]: ISO 8601 with an offset. Fractions [I] appear only where a document's date had them: cut off, a second with more
	// documents than a page holds could not be walked through.
	sinceLayout = "2006-01-02T15:04:05.999999-07:00"
)

// orderField matches the name of a property, possibly of a nested one.
var orderField = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// Validate returns every fault, each beginning with the settings key.
func (c Contract) Validate() []error {
	var faults []error
	add := func(key string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("api.contract.%s: %w", key, err))
		}
	}
	add("token_path", checkPath(c.TokenPath, 0))
	add("device_path", checkPath(c.DevicePath, 0))
	add("documents_path", checkPath(c.DocumentsPath, 0))
	add("document_path", checkPath(c.DocumentPath, 1))
	if c.PDFPath != "" {
		add("pdf_path", checkPath(c.PDFPath, 1))
	}
	add("link_fields", checkNames(c.LinkFields, c.PDFPath == ""))
	add("content_fields", checkNames(c.ContentFields, false))
	for _, status := range c.NotReadyStatus {
		// 200 is an answer, 401 and 429 have a meaning of their own, and 5xx is nobody's document.
		if status <= 200 || status >= 500 || status == 401 || status == 429 {
			add("not_ready_status", fmt.Errorf("must hold statuses from 201 to 499 other than 401 and 429 (got %d)", status))
		}
	}
	if !orderField.MatchString(c.OrderField) {
		add("order_field", fmt.Errorf("must be the name of a date in a document, such as updatedAt (got %q)", c.OrderField))
	}
	if c.SinceParameter == "" {
		add("since_parameter", errors.New(`must be the name of a query parameter, such as {order_field}[gte] (got "")`))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Query)) {
		add("query", c.checkParameter(name, c.Query[name]))
	}
	add("ready_status", checkNames(c.ReadyStatus, true))
	if c.Confirm {
		faults = append(faults, c.validateConfirm()...)
	}
	return faults
}

// validateConfirm checks what only matters where confirming is on.
func (c Contract) validateConfirm() []error {
	var faults []error
	add := func(key string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("api.contract.%s: %w", key, err))
		}
	}
	if !slices.Contains([]string{"PATCH", "PUT", "POST"}, c.ConfirmMethod) {
		add("confirm_method", fmt.Errorf("must be PATCH, PUT or POST (got %q)", c.ConfirmMethod))
	}
	uuids := 1
	if strings.Contains(c.ConfirmSuccess, "{uuid}") && strings.Contains(c.ConfirmFailure, "{uuid}") {
		uuids = strings.Count(c.ConfirmPath, "{uuid}") // the bodies name the document, so the path need not
	}
	add("confirm_path", checkPath(c.ConfirmPath, uuids))
	media, _, err := mime.ParseMediaType(c.ConfirmContentType)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		add("confirm_content_type", fmt.Errorf("must be a JSON media type, such as application/json (got %q)", c.ConfirmContentType))
	}
	if !json.Valid(c.confirmBody("0", Outcome{})) {
		add("confirm_success", fmt.Errorf("must be JSON (got %q)", c.ConfirmSuccess))
	}
	if strings.Contains(c.ConfirmSuccess, "{reason}") {
		add("confirm_success", fmt.Errorf("a success has no {reason} (got %q)", c.ConfirmSuccess))
	}
	if !json.Valid(c.confirmBody("0", Outcome{Reason: "x"})) {
		add("confirm_failure", fmt.Errorf(`must be JSON, with {reason} between double quotes (got %q)`, c.ConfirmFailure))
	}
	return faults
}

// checkParameter refuses extra parameters that would break the walk through a list.
func (c Contract) checkParameter(name, value string) error {
	switch name {
	case "":
		return errors.New(`a parameter must have a name (got "")`)
	case "page", c.sinceParameter():
		return fmt.Errorf("%s is set by the program for each request and cannot be fixed (got %q)", name, value)
	case "itemsPerPage":
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > itemsPerPage {
			return fmt.Errorf("itemsPerPage must be a number from 1 to %d (got %q)", itemsPerPage, value)
		}
	}
	return nil
}

// checkNames refuses empty names, and an empty list where one is needed.
func checkNames(names []string, needed bool) error {
	if needed && len(names) == 0 {
		return errors.New("must hold at least one value (got [])")
	}
	if slices.Contains(names, "") {
		return errors.New(`must not hold an empty value (got "")`)
	}
	return nil
}

// checkPath refuses what would leave the base URL, and a path that does not hold {uuid} exactly uuids times.
func checkPath(path string, uuids int) error {
	if path == "" {
		return errors.New(`must be a path below api.base_url (got "")`)
	}
	u, err := url.Parse(strings.ReplaceAll(path, "{uuid}", "0"))
	if err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return fmt.Errorf("must be a path below api.base_url, without a host (got %q)", path)
	}
	if strings.Contains(path, "#") || slices.Contains(strings.Split(u.Path, "/"), "..") {
		return fmt.Errorf(`must not hold ".." or "#" (got %q)`, path)
	}
	if strings.ContainsAny(u.Path+u.RawQuery, "{}") {
		return fmt.Errorf("{uuid} is the only placeholder (got %q)", path)
	}
	if n := strings.Count(path, "{uuid}"); n != uuids {
		if uuids == 0 {
			return fmt.Errorf("must not hold {uuid} (got %q)", path)
		}
		return fmt.Errorf("must hold {uuid} once (got %q)", path)
	}
	return nil
}

// sinceParameter is the name of the query parameter of the lower bound.
func (c Contract) sinceParameter() string {
	return strings.ReplaceAll(c.SinceParameter, "{order_field}", c.OrderField)
}

// confirmBody is what tells Askara the outcome. The reason may hold anything: it is escaped for the JSON string it stands in.
func (c Contract) confirmBody(uuid string, o Outcome) []byte {
	if o.Reason == "" {
		return []byte(strings.ReplaceAll(c.ConfirmSuccess, "{uuid}", uuid))
	}
	escaped, err := json.Marshal(o.Reason)
	if err != nil { // a string always encodes
		escaped = []byte(`""`)
	}
	reason := string(escaped[1 : len(escaped)-1])
	// One pass, so that a reason that happens to hold a placeholder stays as it is.
	return []byte(strings.NewReplacer("{uuid}", uuid, "{reason}", reason).Replace(c.ConfirmFailure))
}

// endpoint is the URL of a contract path below base, with uuid in the place of {uuid}.
func endpoint(base *url.URL, path, uuid string) string {
	root := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path, RawPath: base.RawPath}
	path = strings.ReplaceAll(path, "{uuid}", url.PathEscape(uuid))
	return strings.TrimRight(root.String(), "/") + "/" + strings.TrimLeft(path, "/")
}
