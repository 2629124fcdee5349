package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"askara-sync/askara"
	"askara-sync/sync"
)

// handle does what a command beside the daemon asks. What is begun goes on under ctx, the service's, when the client leaves.
func (s *service) handle(ctx, client context.Context, q ControlRequest, emit func(ControlEvent)) error {
	switch q.Verb {
	case ControlPass:
		return s.handlePass(ctx, client, q, emit)
	case ControlRetry:
		return s.handleRetry(client, q, emit)
	case ControlWake:
		return s.handleWake(q)
	case ControlReload:
		select {
		case s.reload <- struct{}{}:
		default: // asked for already
		}
		return nil
	case ControlStatus:
		return s.handleStatus(emit)
	}
	return unknownVerb(q)
}

// handlePass runs a pass over the accounts, each as soon as its present pass is over.
func (s *service) handlePass(ctx, client context.Context, q ControlRequest, emit func(ControlEvent)) error {
	accounts, err := s.app.chosen(q.Account)
	if err != nil {
		return err
	}
	request := sync.Request{Since: q.Since, Until: q.Until, Manual: true, Poll: s.poll(), Watch: func(p sync.Progress) {
		s.showProgress(p)
		emit(ControlEvent{
			Kind: ControlProgress, Account: p.Account, Listed: p.Listed, Total: p.Total, Delivered: p.Delivered, Failed: p.Failed,
			Confirmed: p.Confirmed, Bytes: p.Bytes,
		})
	}}
	type answer struct {
		index int
		Outcome
	}
	done := make(chan answer, len(accounts))
	for i, acc := range accounts {
		go func() { done <- answer{i, s.passInTurn(ctx, client, acc, request, emit)} }()
	}
	outcomes := make([]Outcome, len(accounts))
	for range accounts {
		o := <-done
		outcomes[o.index] = o.Outcome
	}
	for _, o := range outcomes {
		line, err := json.Marshal(o.Pass)
		if err != nil {
			return fmt.Errorf("tell the result: %w", err)
		}
		emit(ControlEvent{Kind: ControlResult, Account: o.Pass.Account, Result: line})
	}
	return worst(outcomes)
}

// passInTurn waits for the account's present pass, then runs one.
func (s *service) passInTurn(ctx, client context.Context, acc *account, q sync.Request, emit func(ControlEvent)) Outcome {
	select {
	case acc.turn <- struct{}{}:
	default:
		emit(ControlEvent{Kind: ControlNote, Account: acc.Name, Message: "a pass of account " + acc.Name + " is running; yours follows"})
		select {
		case acc.turn <- struct{}{}:
		case <-client.Done():
			return Outcome{askara.Pass{Account: acc.Name}, client.Err()}
		case <-ctx.Done():
			return Outcome{askara.Pass{Account: acc.Name}, ctx.Err()}
		}
	}
	defer func() { <-acc.turn }()
	return s.pass(ctx, acc, q)
}

// retryResult is the result of ControlRetry, for one account.
type retryResult struct {
	Retried int      `json:"retried"`
	Unknown []string `json:"unknown,omitempty"`
}

func (s *service) handleRetry(ctx context.Context, q ControlRequest, emit func(ControlEvent)) error {
	accounts, err := s.app.chosen(q.Account)
	if err != nil {
		return err
	}
	for _, acc := range accounts {
		n, unknown, err := s.app.Store.Retry(ctx, acc.Name, q.UUIDs)
		if err != nil {
			return err
		}
		line, err := json.Marshal(retryResult{n, unknown})
		if err != nil {
			return fmt.Errorf("tell the result: %w", err)
		}
		emit(ControlEvent{Kind: ControlResult, Account: acc.Name, Result: line})
		if n > 0 {
			s.loops[acc.Name].Wake()
		}
	}
	return nil
}

func (s *service) handleWake(q ControlRequest) error {
	accounts, err := s.app.chosen(q.Account)
	if err != nil {
		return err
	}
	for _, acc := range accounts {
		s.loops[acc.Name].Wake()
	}
	return nil
}

func (s *service) handleStatus(emit func(ControlEvent)) error {
	for name, loop := range s.loops {
		view := DaemonStatus{}
		if next := loop.NextAt(); !next.IsZero() {
			view.NextPassAt = &next
		}
		line, err := json.Marshal(view)
		if err != nil {
			return fmt.Errorf("tell the status: %w", err)
		}
		emit(ControlEvent{Kind: ControlResult, Account: name, Result: line})
	}
	return nil
}
