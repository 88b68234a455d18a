package flat

import (
	"maps"
	"net/http"
	"slices"
)

func (c *call) listBuckets() error {
	d := newDocument("ListAllMyBucketsResult")
	d.owner("Owner")
	d.begin("Buckets")
	c.server.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.server.buckets)) {
		d.begin("Bucket")
		d.text("Name", name)
		d.text("CreationDate", moment(c.server.buckets[name].made))
		d.end("Bucket")
	}
	c.server.mu.Unlock()
	d.end("Buckets")
	d.end("ListAllMyBucketsResult")
	return c.answer(d)
}

// createBucket makes a bucket, wherever it is asked to lie.
func (c *call) createBucket() error {
	if _, _, err := c.body(); err != nil {
		return err
	}
	made := newBucket(c.server.now())
	c.server.mu.Lock()
	known := c.server.buckets[c.Bucket] != nil
	if !known {
		c.server.buckets[c.Bucket] = made
	}
	c.server.mu.Unlock()
	if known {
		return bucketExists
	}
	c.w.Header().Set("Location", "/"+c.Bucket)
	return c.send(http.StatusOK, nil)
}

func (c *call) headBucket() error {
	if err := c.server.with(c.Bucket, func(*bucket) error { return nil }); err != nil {
		return err
	}
	c.w.Header().Set("X-Amz-Bucket-Region", region)
	return c.send(http.StatusOK, nil)
}

// getBucketLocation answers with the empty location that stands for us-east-1.
func (c *call) getBucketLocation() error {
	if err := c.server.with(c.Bucket, func(*bucket) error { return nil }); err != nil {
		return err
	}
	d := newDocument("LocationConstraint")
	d.end("LocationConstraint")
	return c.answer(d)
}
