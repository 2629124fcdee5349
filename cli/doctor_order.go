package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"askara-sync/askara"
)

// changed matches names of a date that moves when a document does; the better ones first.
var changed = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^(updated|modified|last_?(updated|modified))`),
	regexp.MustCompile(`(?i)(updat|modif|chang)`),
	regexp.MustCompile(`(?i)^validat`),
	regexp.MustCompile(`(?i)^creat`),
}

// orderFields lists dates of the documents by which they may be ordered, the best first.
func (q *inquiry) orderFields() []string {
	const few, most = 10, 100 // documents, and names in each: enough for any that means well
	var dates []string
	for _, d := range q.page.Documents[:min(few, len(q.page.Documents))] {
		looked := 0
		for name := range jsonLeaves(d.Raw) {
			if looked++; looked > most {
				break
			}
			c := q.contract
			c.OrderField = name
			if slices.Contains(dates, name) || strings.Contains(name, ".") || !fieldName.MatchString(name) {
				continue
			}
			if again, err := askara.DecodeDocument(d.Raw, c); err == nil && !again.Order.IsZero() {
				dates = append(dates, name)
			}
		}
	}
	var best []string
	for _, r := range changed {
		for _, name := range dates {
			if r.MatchString(name) && !slices.Contains(best, name) {
				best = append(best, name)
			}
		}
	}
	return best
}

// ordered says whether the page is in ascending (or descending) order, and how many instants it has.
func ordered(p askara.Page) (ascending, descending bool, instants int) {
	ascending, descending = true, true
	var last time.Time
	for _, d := range p.Documents {
		if d.Order.IsZero() {
			continue
		}
		if !last.IsZero() {
			ascending = ascending && !d.Order.Before(last)
			descending = descending && !d.Order.After(last)
		}
		if !d.Order.Equal(last) {
			instants++
		}
		last = d.Order
	}
	return ascending, descending, instants
}

// order finds out by which date lists are ordered, and whether they are.
func (q *inquiry) order(ctx context.Context) {
	if len(q.page.Documents) == 0 {
		return
	}
	field := q.contract.OrderField
	if _, _, instants := ordered(q.page); instants == 0 {
		fields := q.orderFields()
		if len(fields) == 0 {
			q.report.warn("order", "the documents have no readable date "+field+", so each pass reads the whole list",
				"none, unless Askara names another date for api.contract.order_field")
			return
		}
		c := q.contract
		c.OrderField = fields[0]
		page, err := q.with(c).List(ctx, askara.Query{})
		if q.unasked("order", err) {
			return
		}
		if err != nil {
			q.report.failed("order", err, "")
			return
		}
		q.page = page
		q.contract = c
		q.report.lines.set("order_field", fields[0], noteTried)
		q.report.fail("order", askara.FaultConfiguration, fmt.Sprintf("the documents have no %s; the date of their change is %s", field, fields[0]),
			linesBelow)
		field = fields[0]
	}
	ascending, _, instants := ordered(q.page)
	switch {
	case ascending && instants < 2:
		q.report.ok("order", "by %s, as far as %d %s can tell", field, len(q.page.Documents), plural(len(q.page.Documents), "document", "documents"))
	case ascending && q.reverses(ctx):
		q.report.ok("order", "by %s", field)
	default:
		q.report.warn("order", "the server does not order by "+field+", so each pass reads the whole list",
			"none; a long list costs more requests")
	}
}

// reverses says whether the list is the other way round when it is asked for like that: that it is ascending may be chance.
func (q *inquiry) reverses(ctx context.Context) bool {
	c := q.contract
	c.Query = maps.Clone(c.Query)
	if c.Query == nil {
		c.Query = map[string]string{}
	}
	c.Query["order["+c.OrderField+"]"] = "desc"
	page, err := q.with(c).List(ctx, askara.Query{})
	if err != nil {
		return true // nothing was seen that speaks against it
	}
	_, descending, instants := ordered(page)
	return descending && instants > 1
}

// bounds finds out whether a list can begin at a date.
func (q *inquiry) bounds(ctx context.Context) {
	since := q.middle()
	if since.IsZero() {
		if len(q.page.Documents) > 0 {
			q.report.ok("lower bound", "cannot be told from these documents")
		}
		return
	}
	works := func(c askara.Contract) (bool, error) {
		page, err := q.with(c).List(ctx, askara.Query{Since: since})
		if err != nil || len(page.Documents) == 0 {
			return false, err
		}
		for _, d := range page.Documents {
			if !d.Order.IsZero() && d.Order.Before(since.Add(-time.Second)) {
				return false, nil
			}
		}
		return true, nil
	}
	fine, err := works(q.contract)
	if q.unasked("lower bound", err) {
		return
	}
	if err != nil {
		q.report.failed("lower bound", err, "")
		return
	}
	if fine {
		q.report.ok("lower bound", "%s", strings.ReplaceAll(q.contract.SinceParameter, "{order_field}", q.contract.OrderField))
		return
	}
	for _, parameter := range q.sinceParameters(ctx) {
		if !q.ration.has(7) {
			break
		}
		c := q.contract
		c.SinceParameter = parameter
		if fine, err := works(c); err == nil && fine {
			q.report.fail("lower bound", askara.FaultConfiguration, fmt.Sprintf("the server ignores %s and heeds %s", q.contract.SinceParameter, parameter),
				linesBelow)
			q.report.lines.set("since_parameter", parameter, noteTried)
			q.contract = c
			return
		}
	}
	q.report.warn("lower bound", "the server ignores it, so each pass reads the whole list", "none; a long list costs more requests")
}

// middle is an instant before which the list has documents, and after which it has others; zero where there is none.
func (q *inquiry) middle() time.Time {
	var all []time.Time
	for _, d := range q.page.Documents {
		if !d.Order.IsZero() {
			all = append(all, d.Order)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	for _, t := range all[len(all)/2:] {
		if t.Sub(all[0]) > time.Second {
			return t
		}
	}
	return time.Time{}
}

// sinceParameters lists other names that a lower bound may have.
func (q *inquiry) sinceParameters(ctx context.Context) []string {
	names := []string{"{order_field}[after]"}
	for _, name := range q.describe(ctx).parameters(q.contract.DocumentsPath) {
		templated := strings.ReplaceAll(name, q.contract.OrderField, "{order_field}")
		if lowerBound.MatchString(name) && templated != q.contract.SinceParameter && !slices.Contains(names, templated) {
			names = append(names, templated)
		}
	}
	return names
}

var lowerBound = regexp.MustCompile(`(?i)(\[(gte|after|from|since|min)\]$|since|modified_?after|updated_?after)`)
