package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// fillPlain is the loop of inserts: eight downloads at once where the database takes as many, one transaction a document.
func fillPlain(ctx context.Context, db *sql.DB, t target, e errand) (time.Duration, error) {
	workers := 8
	if t.path != "" {
		workers = 1 // SQLite takes one writer at a time
		db.SetMaxOpenConns(1)
	}
	key := "varchar(64)"
	if _, err := db.ExecContext(ctx, fmt.Sprintf("create table askara_documents (uuid %s primary key, content %s not null)", key, t.blob)); err != nil {
		return 0, err
	}
	insert := "insert into askara_documents (uuid, content) values (?, ?)"
	if t.hold == "$" {
		insert = "insert into askara_documents (uuid, content) values ($1, $2)"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	began := time.Now()
	work, errs := make(chan string), make(chan error, workers)
	for range workers {
		go func() {
			var err error
			for uuid := range work {
				err = errors.Join(err, e.insert(ctx, client, db, insert, uuid))
			}
			errs <- err
		}()
	}
	for _, uuid := range e.uuids {
		work <- uuid
	}
	close(work)
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return time.Since(began), err
}

func (e errand) insert(ctx context.Context, client *http.Client, db *sql.DB, statement, uuid string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.pdf(uuid), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+e.token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement, uuid, content)
	return err
}
