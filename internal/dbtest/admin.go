package dbtest

import (
	"context"
	"database/sql"
	"fmt"

	_ "github.com/go-sql-driver/mysql" // the administrator's connection
	_ "github.com/jackc/pgx/v5/stdlib" // the administrator's connection
)

// Admin opens a pool as the administrator. The test closes it before it kills the server, or lives with broken connections.
func (s *Server) Admin(database string) *sql.DB {
	s.t.Helper()
	driver, dsn := s.kind.admin(s, database)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { db.Close() })
	return db
}

// Exec runs statements as the administrator.
func (s *Server) Exec(database string, statements ...string) {
	s.t.Helper()
	driver, dsn := s.kind.admin(s, database)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// ping asks once whether the server takes connections.
func ping(ctx context.Context, driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// Database makes an empty database, or empties it, with a user who has all rights in it and nothing else, and returns the user's
// connection string.
func (s *Server) Database(name string) string {
	s.t.Helper()
	const user, password = "clinic", "s3cret"
	if _, ok := s.kind.(*postgres); !ok {
		s.Exec("", "drop database if exists "+name, "create database "+name, fmt.Sprintf("create or replace user '%s'@'localhost' identified by '%s'", user, password),
			fmt.Sprintf("grant all on %s.* to '%s'@'localhost'", name, user))
		return s.DSN(user, password, name)
	}
	// Making a database takes PostgreSQL a second, emptying one nothing.
	s.Exec("postgres", fmt.Sprintf(`do $$ begin
		if not exists (select from pg_roles where rolname = '%s') then create role %s login password '%s'; end if; end $$`, user, user, password))
	if !s.has(name) {
		s.Exec("postgres", "create database "+name+" owner "+user+" encoding 'UTF8' template template0")
	}
	s.Exec(name, "drop schema public cascade", "create schema public authorization "+user, "grant usage on schema public to public")
	return s.DSN(user, password, name)
}

// has says whether PostgreSQL has the database.
func (s *Server) has(name string) bool {
	s.t.Helper()
	driver, dsn := s.kind.admin(s, "postgres")
	db, err := sql.Open(driver, dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(context.Background(), "select count(*) from pg_database where datname = $1", name).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n > 0
}
