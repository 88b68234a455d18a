package bucket

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
)

// The beginnings of the headers that hold a customer's key.
const (
	customerPrefix       = "X-Amz-Server-Side-Encryption-Customer-"
	sourceCustomerPrefix = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
)

// Format prints the same for every verb: none of them may tell the key.
func (k CustomerKey) Format(f fmt.State, _ rune) { io.WriteString(f, "(a key)") }

// write puts the key, if there is one, on a request for the object that it encrypts.
func (k *CustomerKey) write(h http.Header) { k.writeAs(customerPrefix, h) }

// writeAsSource puts the key, if there is one, on a request for a copy of its object.
func (k *CustomerKey) writeAsSource(h http.Header) { k.writeAs(sourceCustomerPrefix, h) }

func (k *CustomerKey) writeAs(prefix string, h http.Header) {
	if k == nil {
		return
	}
	sum := md5.Sum(k.Key)
	h.Set(prefix+"Algorithm", k.Algorithm)
	h.Set(prefix+"Key", base64.StdEncoding.EncodeToString(k.Key))
	h.Set(prefix+"Key-Md5", base64.StdEncoding.EncodeToString(sum[:]))
}
