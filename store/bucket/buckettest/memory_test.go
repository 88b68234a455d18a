package buckettest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"merkur/store/bucket"
)

func TestMemory(t *testing.T) {
	Conformance(t, func(*testing.T) bucket.Store { return new(Memory) })
	HeedsBatches(t, new(Memory))
}

func TestMemoryHasOneWinner(t *testing.T) {
	m := new(Memory)
	for round := range 50 {
		var won, lost atomic.Int64
		var group errgroup.Group
		key := fmt.Sprint(round)
		for i := range 8 {
			group.Go(func() error {
				body := fmt.Sprint(i)
				_, err := m.Put(t.Context(), key, strings.NewReader(body), 1, bucket.PutOptions{Condition: bucket.Condition{IfNone: true}})
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, bucket.ErrChanged):
					lost.Add(1)
				}
				return nil
			})
		}
		group.Wait()
		if won.Load() != 1 || lost.Load() != 7 {
			t.Fatalf("%d winners, %d losers", won.Load(), lost.Load())
		}
	}
}

// memoryWrites change "key", which holds "old", to "new" or to nothing.
var memoryWrites = map[Op]func(ctx context.Context, m *Memory) error{
	Put: func(ctx context.Context, m *Memory) error {
		_, err := m.Put(ctx, "key", strings.NewReader("new"), 3, bucket.PutOptions{})
		return err
	},
	Delete: func(ctx context.Context, m *Memory) error { return m.Delete(ctx, "key", bucket.Condition{}) },
	Batch: func(ctx context.Context, m *Memory) error {
		return m.DeleteAll(ctx, []bucket.Deletion{{Key: "key"}})["key"]
	},
	Copy: func(ctx context.Context, m *Memory) error {
		_, err := m.Copy(ctx, bucket.Source{Bucket: "", Key: "src", IfMatch: ""}, "key", bucket.CopyOptions{})
		return err
	},
	Complete: func(ctx context.Context, m *Memory) error {
		u, err := m.Upload(ctx, "key", bucket.PutOptions{})
		if err != nil {
			return err
		}
		if err := u.Part(ctx, 1, strings.NewReader("new"), 3, crc64nvme.Checksum([]byte("new"))); err != nil {
			return err
		}
		_, err = u.Complete(ctx)
		return err
	},
}

func TestMemoryOutcomes(t *testing.T) {
	tests := []struct {
		outcome   Outcome
		changed   bool
		uncertain bool
	}{
		{OK, true, false}, {NotStored, false, true}, {Stored, true, true}, {Throttled, false, false}, {Denied, false, false},
		{Unknown, false, false},
	}
	for _, test := range tests {
		for op, do := range memoryWrites {
			m := new(Memory)
			put(t, m, "src", "new", bucket.PutOptions{})
			put(t, m, "key", "old", bucket.PutOptions{})
			m.Fault = func(o Op, key string) Outcome {
				if o == op && key == "key" {
					return test.outcome
				}
				return OK
			}
			err := do(t.Context(), m)
			if (err == nil) != (test.outcome == OK) || errors.Is(err, bucket.ErrUncertain) != test.uncertain {
				t.Errorf("%s, outcome %d: %v", op, test.outcome, err)
			}
			if changed := string(m.Objects()["key"]) != "old"; changed != test.changed {
				t.Errorf("%s, outcome %d: changed is %v", op, test.outcome, changed)
			}
			calls := m.Calls()
			last := calls[len(calls)-1]
			if last.Op != op || last.Key != "key" || last.Outcome != test.outcome || !errors.Is(err, last.Err) || m.Count(op) < 1 {
				t.Errorf("%s, outcome %d: logged as %+v", op, test.outcome, last)
			}
		}
	}
}

func TestMemoryHeedless(t *testing.T) {
	m := &Memory{Heedless: map[Op]bool{Delete: true, Batch: true}}
	put(t, m, "key", "old", bucket.PutOptions{})
	put(t, m, "other", "old", bucket.PutOptions{})
	_, err := m.Put(t.Context(), "key", strings.NewReader("new"), 3, bucket.PutOptions{Condition: bucket.Condition{IfMatch: "00"}})
	want(t, "put", err, bucket.ErrChanged)
	want(t, "delete", m.Delete(t.Context(), "key", bucket.Condition{IfMatch: "00"}), nil)
	expect(t, m, "key", "")
	want(t, "delete in a batch", m.DeleteAll(t.Context(), []bucket.Deletion{{Key: "other", IfMatch: "00"}})["other"], nil)
	expect(t, m, "other", "")
}

func TestMemoryNoChecksum(t *testing.T) {
	m := &Memory{NoChecksum: true}
	_, err := m.Put(t.Context(), "key", strings.NewReader("new"), 3, bucket.PutOptions{CRC64: 1, HasCRC64: true})
	want(t, "put", err, bucket.ErrUnsupported)
	_, err = m.Upload(t.Context(), "key", bucket.PutOptions{})
	want(t, "upload", err, bucket.ErrUnsupported)
	if o := put(t, m, "key", "new", bucket.PutOptions{}); o.HasCRC64 || o.CRC64 != 0 {
		t.Errorf("stored as %+v", o)
	}
}

// Keys that no file system keeps apart.
func TestMemoryIsFlat(t *testing.T) {
	m := new(Memory)
	bodies := make(map[string]string)
	for _, key := range []string{"a", "a/", "a//b", "a/b", "/a", "./a", "../a", "a\x01", "a\xff", ""} {
		put(t, m, key, "body of "+key, bucket.PutOptions{})
		bodies[key] = "body of " + key
	}
	got := make(map[string]string)
	for key, body := range m.Objects() {
		got[key] = string(body)
	}
	if !maps.Equal(got, bodies) {
		t.Errorf("objects are %q", got)
	}
}

func TestMemoryOptions(t *testing.T) {
	m := new(Memory)
	put(t, m, "key", "body", bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/plain", Metadata: map[string]string{"Key": "value"}}})
	o, ok := m.Options("key")
	if !ok || o.ContentType != "text/plain" || !maps.Equal(o.Metadata, map[string]string{"key": "value"}) {
		t.Errorf("stored with %+v, %v", o, ok)
	}
	if _, ok := m.Options("none"); ok {
		t.Error("there are options of nothing")
	}
}

func TestMemoryUploads(t *testing.T) {
	m := new(Memory)
	u, _ := uploadParts(t, m, "key", bucket.PutOptions{})
	if n := m.Uploads(); n != 1 {
		t.Errorf("%d uploads are open", n)
	}
	want(t, "abort", u.Abort(t.Context()), nil)
	if n := m.Uploads(); n != 0 {
		t.Errorf("%d uploads are open after the abort", n)
	}
}
