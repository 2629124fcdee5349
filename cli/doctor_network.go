package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"askara-sync/askara"
)

// lookTime bounds each look at the network: a person waits.
const lookTime = 10 * time.Second

// network reports on the way to Askara without asking Askara anything, and says whether it is open.
func (d *doctor) network(ctx context.Context) bool {
	base := d.cfg.API.Base
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base})
	if err != nil {
		d.report.fail("proxy", askara.FaultConfiguration, "the proxy's address makes no sense", "correct HTTPS_PROXY: http://host:port")
		return false
	}
	target := base
	if proxy == nil {
		d.report.ok("proxy", "none for %s", base.Hostname())
	} else {
		target = proxy
	}
	if !d.resolves(ctx, target) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	conn, err := (&net.Dialer{Resolver: d.resolver}).DialContext(ctx, "tcp", net.JoinHostPort(target.Hostname(), portOf(target)))
	switch {
	case err != nil && proxy != nil:
		d.report.fail("proxy", askara.FaultService, fmt.Sprintf("%s does not answer: %s", proxy.Host, networkReason(err)),
			"correct HTTPS_PROXY, or leave it out with NO_PROXY="+base.Hostname())
		return false
	case err != nil:
		d.report.fail("connection", askara.FaultService, fmt.Sprintf("%s does not answer: %s", target.Host, networkReason(err)),
			"check api.base_url, and whether a firewall lets this machine connect to it; where there is a proxy, set HTTPS_PROXY")
		return false
	case proxy != nil:
		conn.Close()
		d.report.ok("proxy", "%s", proxy.Host)
		return true // what lies behind it shows with the first request
	}
	defer conn.Close()
	if base.Scheme != "https" {
		d.report.ok("tls", "none, on this machine's own address")
		return true
	}
	return d.handshake(ctx, conn)
}

// resolves reports whether the host's name can be found.
func (d *doctor) resolves(ctx context.Context, u *url.URL) bool {
	host := u.Hostname()
	if net.ParseIP(host) != nil {
		d.report.ok("dns", "none needed for %s", host)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	addresses, err := d.resolver.LookupHost(ctx, host)
	if err != nil {
		d.report.fail("dns", askara.FaultService, fmt.Sprintf("%s cannot be found: %s", host, networkReason(err)),
			"check api.base_url and this machine's name servers (see: resolvectl status); where there is a proxy, set HTTPS_PROXY")
		return false
	}
	d.report.ok("dns", "%s has %d %s", host, len(addresses), plural(len(addresses), "address", "addresses"))
	return true
}

// handshake reports whether the server's certificate is one that we accept.
func (d *doctor) handshake(ctx context.Context, conn net.Conn) bool {
	c := tls.Client(conn, &tls.Config{ServerName: d.cfg.API.Base.Hostname(), RootCAs: d.cfg.API.Roots, MinVersion: tls.VersionTLS12})
	if err := c.HandshakeContext(ctx); err != nil {
		text, remedy := tlsTrouble(err)
		d.report.fail("tls", askara.FaultConfiguration, text, remedy)
		return false
	}
	d.certificate(c.ConnectionState(), time.Now())
	return true
}

// certificateSoon is how near its end a certificate is worth a warning.
const certificateSoon = 7 * day

func (d *doctor) certificate(state tls.ConnectionState, now time.Time) {
	leaf := state.PeerCertificates[0]
	text := fmt.Sprintf("%s, certificate by %s until %s", tls.VersionName(state.Version), issuer(leaf), leaf.NotAfter.Format(time.DateOnly))
	if d.cfg.API.CAFile != "" {
		text += ", accepted with api.ca_file"
	}
	if left := leaf.NotAfter.Sub(now); left < certificateSoon {
		d.report.warn("tls", text, "whoever runs this server has to renew its certificate")
		return
	}
	d.report.ok("tls", "%s", text)
}

func issuer(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if len(c.Issuer.Organization) > 0 {
		name = c.Issuer.Organization[0]
	}
	return quote(name)
}

// tlsTrouble explains a handshake that failed.
func tlsTrouble(err error) (text, remedy string) {
	text = "no secure connection: " + err.Error()
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return text, "check this machine's clock (see: timedatectl); if it is right, the server's certificate has to be renewed"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return text, "check api.base_url: the server that answers there is not the one of this name"
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		by := "somebody"
		if unknown.Cert != nil {
			by = issuer(unknown.Cert)
		}
		return "the certificate is by " + by + ", whom this machine does not trust",
			"where a proxy inspects TLS, set api.ca_file to its certificate (PEM); otherwise update the ca-certificates of this machine"
	}
	return text, "check api.base_url, and what stands between this machine and Askara"
}

// networkReason is why a connection failed, without the addresses that the text around it has.
func networkReason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
