package buckettest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

// Upload implements [bucket.Uploader].
func (m *Memory) Upload(ctx context.Context, key string, o bucket.PutOptions) (bucket.Upload, error) {
	u, err := m.begin(ctx, key, o, m.NoChecksum && !m.lenient.Load())
	if err != nil {
		return nil, err
	}
	return u, nil
}

// begin begins an upload of an object, unless it is refused.
func (m *Memory) begin(ctx context.Context, key string, o bucket.PutOptions, refused bool) (*upload, error) {
	err := m.do(ctx, Begin, key, func() error {
		if refused {
			return bucket.ErrUnsupported
		}
		m.uploads++
		return nil
	})
	return &upload{memory: m, key: key, options: o, parts: make(map[int][]byte)}, err
}

// An upload belongs to the lock of its Memory.
type upload struct {
	memory  *Memory
	key     string
	options bucket.PutOptions
	parts   map[int][]byte // nil after the end
}

// Part implements [bucket.Upload].
func (u *upload) Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error {
	data, err := read(body, size)
	if err != nil {
		return fmt.Errorf("%s %q: %w", Part, u.key, err)
	}
	return u.memory.do(ctx, Part, u.key, func() error {
		switch {
		case u.parts == nil:
			return noSuchUpload(Part)
		case !u.memory.NoChecksum && crc64nvme.Checksum(data) != crc:
			return badDigest(Part)
		}
		u.parts[n] = data
		return nil
	})
}

func noSuchUpload(op Op) error {
	return &bucket.Error{Op: string(op), Code: "NoSuchUpload", Status: 404, Message: "The specified multipart upload does not exist."}
}

// Complete implements [bucket.Upload].
func (u *upload) Complete(ctx context.Context) (bucket.Object, error) {
	m := u.memory
	var stored bucket.Object
	err := m.do(ctx, Complete, u.key, func() error {
		if u.parts == nil {
			return noSuchUpload(Complete)
		}
		var body []byte
		var sizes []int64
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			body = append(body, u.parts[n]...)
			sizes = append(sizes, int64(len(u.parts[n])))
		}
		if len(sizes) == 0 {
			return &bucket.Error{Op: string(Complete), Code: "MalformedXML", Status: 400, Message: "The XML you provided was not well-formed."}
		}
		if err := m.verify(body, u.options); err != nil {
			return err
		}
		if err := m.check(Complete, u.key, u.options.Condition); err != nil {
			return err
		}
		stored = m.store(u.key, body, u.options, sizes).describe()
		u.end()
		return nil
	})
	if err != nil {
		return bucket.Object{}, err
	}
	return stored, nil
}

// Abort implements [bucket.Upload].
func (u *upload) Abort(ctx context.Context) error {
	return u.memory.do(ctx, Abort, u.key, func() error {
		u.end()
		return nil
	})
}

// end frees the parts. The caller holds the lock.
func (u *upload) end() {
	if u.parts != nil {
		u.parts = nil
		u.memory.uploads--
	}
}

// DeleteAll implements [bucket.BatchDeleter].
func (m *Memory) DeleteAll(ctx context.Context, list []bucket.Deletion) map[string]error {
	failed := make(map[string]error)
	for batch := range slices.Chunk(list, bucket.MaxBatch) {
		answers := make(map[string]error)
		err := m.do(ctx, Batch, batch[0].Key, func() error {
			for _, d := range batch {
				answers[d.Key] = m.removeIf(Batch, d.Key, bucket.Condition{IfMatch: d.IfMatch})
			}
			return nil
		})
		for _, d := range batch {
			if err != nil {
				failed[d.Key] = err
			} else if refused := answers[d.Key]; refused != nil {
				failed[d.Key] = fmt.Errorf("%s %q: %w", Batch, d.Key, refused)
			}
		}
	}
	return failed
}
