package flat

import (
	"encoding/xml"
	"net/http"
)

// putObject stores the body of the request.
func (c *call) putObject() error {
	o, err := received(c.r.Header)
	if err != nil {
		return err
	}
	store := c.store
	if c.server.Racy {
		if err := c.writable(); err != nil {
			return err
		}
		store = c.replace
	}
	body, claimed, err := c.body()
	if err != nil {
		return err
	}
	o.Body = body
	if claimed.algorithm != "" {
		o.Checksums = map[string]string{claimed.algorithm: claimed.sum}
	}
	o.complete(c.server.now())
	if err := store(o); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("ETag", quote(o.ETag))
	setChecksums(h, o)
	setEncryption(h, o)
	return c.send(http.StatusOK, nil)
}

// writable reports whether the conditions of the request hold now.
func (c *call) writable() error {
	return c.server.with(c.Bucket, func(b *bucket) error { return writable(c.r.Header, b.objects[c.Key]) })
}

// store puts an object under the key of the request if the conditions of the request hold.
func (c *call) store(o *Object) error {
	return c.server.with(c.Bucket, func(b *bucket) error {
		if err := writable(c.r.Header, b.objects[c.Key]); err != nil {
			return err
		}
		b.put(c.Key, o)
		return nil
	})
}

// replace puts an object under the key of the request, whatever is there.
func (c *call) replace(o *Object) error {
	return c.server.with(c.Bucket, func(b *bucket) error {
		b.put(c.Key, o)
		return nil
	})
}

// deleteObject removes an object. That there is none is success, whatever the condition.
func (c *call) deleteObject() error {
	err := c.server.with(c.Bucket, func(b *bucket) error {
		return b.removeIf(c.Key, c.r.Header.Get("If-Match"))
	})
	if err != nil {
		return err
	}
	return c.send(http.StatusNoContent, nil)
}

// removeIf removes an object if the header of a condition names its ETag, or is empty.
func (b *bucket) removeIf(key, match string) error {
	if o := b.objects[key]; o != nil && match != "" && !names(match, o.ETag) {
		return preconditionFailed
	}
	b.remove(key)
	return nil
}

// maxDelete is how many keys one request may delete.
const maxDelete = 1000

// deleteObjects removes many objects.
func (c *call) deleteObjects() error {
	var in struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   bool
		Object  []struct{ Key, ETag string }
	}
	h := c.r.Header
	algorithm, _, err := claimed(h)
	if err != nil {
		return err
	}
	if algorithm == "" && h.Get("Content-Md5") == "" && h.Get("X-Amz-Trailer") == "" {
		return invalidRequest("Missing required header for this request: Content-MD5")
	}
	if err := c.read(&in); err != nil {
		return err
	}
	if len(in.Object) == 0 || len(in.Object) > maxDelete {
		return malformedXML
	}
	d := newDocument("DeleteResult")
	for _, o := range in.Object {
		if c.server.HeedlessBatch {
			o.ETag = ""
		}
		failed, err := c.deleteOne(o.Key, o.ETag)
		switch {
		case err != nil:
			return err
		case failed != nil:
			d.begin("Error")
			d.text("Key", o.Key)
			d.text("Code", failed.Code)
			d.text("Message", failed.Message)
			d.end("Error")
		case !in.Quiet:
			d.begin("Deleted")
			d.text("Key", o.Key)
			d.end("Deleted")
		}
	}
	d.end("DeleteResult")
	return c.answer(d)
}

// deleteOne removes one of many objects, unless its own delete would fail.
func (c *call) deleteOne(key, match string) (*Failure, error) {
	c.server.mu.Lock()
	fail := c.server.fail
	c.server.mu.Unlock()
	if fail != nil {
		own := c.Request
		own.Operation, own.Key = "DeleteObject", key
		if failed := fail(own); failed != nil {
			return failed, nil
		}
	}
	var failed *Failure
	err := c.server.with(c.Bucket, func(b *bucket) error {
		if b.removeIf(key, match) != nil {
			failed = preconditionFailed
		}
		return nil
	})
	return failed, err
}
