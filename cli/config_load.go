package cli

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"askara-sync/askara"
)

const (
	// ConfigFile is where the configuration is looked for last.
	ConfigFile = "/etc/askara-sync/config.toml"
	// maxConfigSize bounds what is read of it.
	maxConfigSize = 1 << 20
	// maxSecretSize bounds a secret file: a client secret or connection string has some hundred bytes, a certificate file more.
	maxSecretSize = 1 << 20
)

// LoadConfig says what to load.
type LoadConfig struct {
	// File is the file to read; "" looks at $ASKARA_SYNC_CONFIG, then at ConfigFile.
	File string
	// Getenv is the environment.
	Getenv func(string) string
	// NoSecrets leaves secrets unread, for the verbs that need none and may be run by somebody who cannot read them.
	NoSecrets bool
}

// Load finds, reads and checks the configuration. Its error is a *ConfigError that holds every fault.
func Load(l LoadConfig) (*Config, error) {
	file := cmp.Or(l.File, l.Getenv("ASKARA_SYNC_CONFIG"), ConfigFile)
	data, info, err := readBounded(file, maxConfigSize)
	if err != nil {
		problem := "cannot be read: " + plain(err)
		if errors.Is(err, fs.ErrNotExist) {
			problem = "does not exist; config.example.toml shows one, and askara-sync demo needs none"
		}
		return nil, &ConfigError{File: file, Faults: []ConfigFault{{Problem: problem}}}
	}
	c, f := parse(data, l.Getenv)
	c.File = file
	if info.Mode().Perm()&0o002 != 0 {
		f.add("", "can be changed by everybody; correct that with: chmod o-w "+file, fmt.Sprintf("mode %04o", info.Mode().Perm()))
	}
	if !l.NoSecrets {
		s := &secrets{config: c, getenv: l.Getenv, faults: f}
		s.load()
	}
	if err := f.err(file); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse checks the text of a configuration and touches no other file. Its error is a *ConfigError that holds every fault.
func Parse(data []byte, getenv func(string) string) (*Config, error) {
	c, f := parse(data, getenv)
	if err := f.err("configuration"); err != nil {
		return nil, err
	}
	return c, nil
}

func parse(data []byte, getenv func(string) string) (*Config, *faults) {
	c := defaults(getenv)
	f := &faults{lines: map[string]int{}}
	decode(data, &c, f)
	if !f.broken {
		check(&c, f)
	}
	return &c, f
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(file) // before opening: a FIFO would block for ever
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("larger than %s", Size(limit))
	}
	return data, info, err
}

// plain is the reason of a file error without operation and path, which the message around it says.
func plain(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// secrets reads the files that a configuration names.
type secrets struct {
	config *Config
	getenv func(string) string
	faults *faults
}

func (s *secrets) load() {
	api := &s.config.API
	api.ClientSecret = s.read("api.client_secret_file", api.ClientSecretFile, "client_secret")
	if api.CAFile != "" {
		s.loadRoots()
	}
	if file := s.credential("state_key"); file != "" {
		s.config.StateKeyFile = file
	}
	for i := range s.config.Accounts {
		sink := &s.config.Accounts[i].Sink
		if sink.Type != "postgres" && sink.Type != "mysql" {
			continue
		}
		key := fmt.Sprintf("account[%d].sink.dsn_file", i+1)
		if _, own := s.faults.lines[key]; !own {
			key = "sink.dsn_file"
		}
		sink.DSN = s.read(key, sink.DSNFile, "sink_dsn")
		if sink.DSN == "" {
			s.faults.add(key, "is missing: a database needs a file with its connection string, or the systemd credential sink_dsn", "")
		}
	}
}

// read returns the secret in file, or else in the credential of that name, without the line end; "" where there is neither.
func (s *secrets) read(key, file, credential string) askara.Secret {
	own := file != ""
	if !own {
		if file = s.credential(credential); file == "" {
			return ""
		}
	}
	if !filepath.IsAbs(file) {
		return "" // reported by check
	}
	data, info, err := readBounded(file, maxSecretSize)
	if err != nil {
		// The path may be the secret itself, pasted into the wrong key, so the message does without it.
		s.faults.add(key, "the file cannot be read: "+plain(err)+s.remedy(err), "")
		return ""
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		s.faults.add(key, "the file can be read by everybody; correct that with: chmod o= FILE", fmt.Sprintf("mode %04o", mode))
	}
	secret := string(bytes.TrimRight(data, "\r\n"))
	if secret == "" && own {
		s.faults.add(key, "the file is empty", "")
	}
	return askara.Secret(secret)
}

func (s *secrets) remedy(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf("; as root: chgrp %s FILE && chmod 0640 FILE", ServiceUser)
	}
	return ""
}

// credential finds a systemd credential: in the service itself; from a terminal, where the running service has it, or where the unit takes
// it from. "" where there is none that can be seen.
func (s *secrets) credential(name string) string {
	files := []string{
		"/run/credentials/" + ServiceUser + ".service/" + name,
		"/etc/credstore/" + ServiceUser + "." + name,
	}
	if dir := s.getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		files = []string{filepath.Join(dir, name)}
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

func (s *secrets) loadRoots() {
	data, _, err := readBounded(s.config.API.CAFile, maxSecretSize)
	if err != nil {
		s.faults.add("api.ca_file", "the file cannot be read: "+plain(err), quote(s.config.API.CAFile))
		return
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(data) {
		s.faults.add("api.ca_file", "the file holds no certificate in PEM form", quote(s.config.API.CAFile))
		return
	}
	s.config.API.Roots = roots
}
