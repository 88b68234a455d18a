package bucket

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
)

// trust has a transport believe the servers that c believes. With a bundle, nothing else counts.
func (c Config) trust(t *http.Transport) error {
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	t.TLSClientConfig.InsecureSkipVerify = c.NoVerifyTLS
	if c.CABundle == "" || c.NoVerifyTLS {
		return nil
	}
	pem, err := os.ReadFile(c.CABundle)
	if err != nil {
		return fmt.Errorf("read CA bundle: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("read CA bundle %s: no certificate in it", c.CABundle)
	}
	return nil
}
