package buckettest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

// minPart is the least size of a part that is not the last one.
const minPart = 5 << 20

// uploadParts stores two parts, the second one first.
func uploadParts(t *testing.T, s bucket.Store, key string, o bucket.PutOptions) (bucket.Upload, []byte) {
	t.Helper()
	uploader, ok := s.(bucket.Uploader)
	if !ok {
		t.Skip("the store takes no parts")
	}
	u, err := uploader.Upload(t.Context(), key, o)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("parts of an object. "), (minPart+100)/20)
	for n, data := range map[int][]byte{7: body[minPart:], 1: body[:minPart]} {
		if err := u.Part(t.Context(), n, bytes.NewReader(data), int64(len(data)), crc64nvme.Checksum(data)); err != nil {
			t.Fatal(err)
		}
	}
	return u, body
}

func testUpload(t *testing.T, s bucket.Store) {
	u, body := uploadParts(t, s, "key", bucket.PutOptions{Headers: bucket.Headers{Metadata: map[string]string{"a": "b"}}})
	wrong := []byte("wrong")
	if err := u.Part(t.Context(), 9, bytes.NewReader(wrong), 5, crc64nvme.Checksum(wrong)+1); err == nil {
		t.Error("a part with a wrong checksum is taken")
	}
	expect(t, s, "key", "")
	stored, err := u.Complete(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, obj := get(t, s, "key", bucket.GetOptions{})
	if got != string(body) {
		t.Errorf("got %d bytes; want %d", len(got), len(body))
	}
	wanted := etag(body, []int64{minPart, int64(len(body) - minPart)})
	if stored.ETag != wanted || obj.ETag != wanted || stored.Size != int64(len(body)) {
		t.Errorf("stored as %+v, got as %+v; want ETag %s", stored, obj, wanted)
	}
	if !obj.HasCRC64 || obj.CRC64 != crc64nvme.Checksum(body) || obj.Metadata["a"] != "b" {
		t.Errorf("got as %+v", obj)
	}
	for n, size := range map[int]int64{0: int64(len(body)), 1: minPart} {
		if head, err := s.Head(t.Context(), "key", bucket.HeadOptions{Part: n}); err != nil || head.Size != size {
			t.Errorf("head of part %d: %+v, %v; want size %d", n, head, err, size)
		}
	}
	if got, obj := get(t, s, "key", bucket.GetOptions{Offset: minPart - 3, Length: 6}); got != string(body[minPart-3:minPart+3]) || obj.Size != int64(len(body)) {
		t.Errorf("range across parts is %q of %d bytes", got, obj.Size)
	}
}

func testUploadAbort(t *testing.T, s bucket.Store) {
	u, _ := uploadParts(t, s, "key", bucket.PutOptions{})
	want(t, "abort", u.Abort(t.Context()), nil)
	want(t, "second abort", u.Abort(t.Context()), nil)
	if _, err := u.Complete(t.Context()); err == nil {
		t.Error("an aborted upload completes")
	}
	expect(t, s, "key", "")
	for o := range s.List(t.Context(), "", "") {
		t.Errorf("left behind: %+v", o)
	}
}

func testUploadConditions(t *testing.T, s bucket.Store) {
	uploader, ok := s.(bucket.Uploader)
	if !ok {
		t.Skip("the store takes no parts")
	}
	tryConditions(t, s, func(key string, c bucket.Condition) error {
		u, err := uploader.Upload(t.Context(), key, bucket.PutOptions{Condition: c})
		if err != nil {
			return err
		}
		if err := u.Part(t.Context(), 1, strings.NewReader("new"), 3, crc64nvme.Checksum([]byte("new"))); err != nil {
			return err
		}
		_, err = u.Complete(t.Context())
		if err != nil {
			want(t, "abort", u.Abort(t.Context()), nil)
		}
		return err
	})
}
