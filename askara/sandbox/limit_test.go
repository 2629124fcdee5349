package sandbox_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

func header(a answer, name string) string { return a.header.Get("X-Ratelimit-" + name) }

func TestBucketEmptiesAndRefillsInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := connect(t, sandbox.Config{Burst: 5, Refill: 3, RefillEvery: time.Minute})
		for i := range 5 {
			a := b.get("/documents")
			want(t, "status", a.status, http.StatusOK)
			want(t, "limit", header(a, "Limit"), "5")
			want(t, "remaining", header(a, "Remaining"), strconv.Itoa(4-i))
			want(t, "reset", header(a, "Reset"), strconv.FormatInt(start.Add(time.Minute).Unix(), 10))
		}
		time.Sleep(20 * time.Second)
		a := b.get("/documents")
		want(t, "status when empty", a.status, http.StatusTooManyRequests)
		want(t, "remaining when empty", header(a, "Remaining"), "0")
		want(t, "retry after", a.header.Get("Retry-After"), "40")
		time.Sleep(40*time.Second - time.Nanosecond)
		want(t, "just before the step", b.get("/documents").status, http.StatusTooManyRequests)
		time.Sleep(time.Nanosecond)
		want(t, "at the step", b.get("/documents").status, http.StatusOK)
		want(t, "budget", b.s.Budget(), 2)
		time.Sleep(10 * time.Minute)
		want(t, "budget when full", b.s.Budget(), 5)
		b.s.SpendBudget(4)
		want(t, "budget after others", b.s.Budget(), 1)
		b.s.SpendBudget(4)
		want(t, "never negative", b.s.Budget(), 0)
		want(t, "limited", b.s.Stats().Limited[sandbox.KindList], 2)
	})
}

func TestBucketRefillsDropByDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{Burst: 2, Refill: 60, RefillEvery: time.Minute, DropByDrop: true})
		b.get("/documents")
		b.get("/documents")
		want(t, "empty", b.get("/documents").status, http.StatusTooManyRequests)
		time.Sleep(time.Second)
		want(t, "one drop", b.get("/documents").status, http.StatusOK)
		want(t, "and no more", b.get("/documents").status, http.StatusTooManyRequests)
	})
}

func TestRateLimitDialects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{Burst: 1})
		now := strconv.FormatInt(time.Now().Unix(), 10)
		for _, test := range []struct {
			d                sandbox.Dialect
			limit, remaining string
			retry            string
		}{
			{sandbox.Dialect{LimitHeaders: sandbox.HeadersAbsent, RetryAfter: sandbox.RetryAbsent}, "", "", ""},
			{sandbox.Dialect{LimitHeaders: sandbox.HeadersWrong, RetryAfter: "86400"}, "10", "9", "86400"},
			{sandbox.Dialect{LimitHeaders: sandbox.HeadersOther, RetryAfter: "-1"}, "60", "1", "-1"},
			{sandbox.Dialect{LimitHeaders: sandbox.HeadersGarbage, RetryAfter: "99999999999999999999"}, "lots", "-7", "99999999999999999999"},
			{sandbox.Dialect{RetryAfter: sandbox.RetryDate}, "1", "0", time.Now().Add(15 * time.Minute).UTC().Format(http.TimeFormat)},
			{sandbox.Dialect{}, "1", "0", "900"},
		} {
			b.s.SetDialect(test.d)
			b.s.SpendBudget(1)
			a := b.get("/documents")
			want(t, "status", a.status, http.StatusTooManyRequests)
			want(t, "limit", header(a, "Limit"), test.limit)
			want(t, "remaining", header(a, "Remaining"), test.remaining)
			want(t, "retry after", a.header.Get("Retry-After"), test.retry)
		}
		time.Sleep(15 * time.Minute)
		b.s.SetDialect(sandbox.Dialect{ResetNow: true})
		want(t, "reset", header(b.get("/documents"), "Reset") > now, true)

		free := connect(t, sandbox.Config{Burst: -1})
		for range 20 {
			a := free.get("/documents")
			want(t, "no limit", a.status, http.StatusOK)
			want(t, "no headers", header(a, "Limit"), "")
		}
		poor := connect(t, sandbox.Config{Burst: 1})
		_, refresh := poor.s.Login("")
		poor.s.SpendBudget(1)
		a, _ := poor.refresh(refresh)
		want(t, "a refresh draws on the limit", a.status, http.StatusTooManyRequests)
		poor.s.SetDialect(sandbox.Dialect{FreeTokens: true})
		a, _ = poor.refresh(refresh)
		want(t, "unless it is free", a.status, http.StatusOK)
	})
}
