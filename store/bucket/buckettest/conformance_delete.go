package buckettest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket"
)

func testDeleteAll(t *testing.T, s bucket.Store) {
	deleter, ok := s.(bucket.BatchDeleter)
	if !ok {
		t.Skip("the store deletes one by one")
	}
	keys := fill(t, s, 1203)
	var gone []bucket.Deletion
	for _, key := range append([]string{"none", "x/<&>\"'\n\t+ %41"}, keys[1:]...) {
		gone = append(gone, bucket.Deletion{Key: key})
	}
	for key, err := range deleter.DeleteAll(t.Context(), gone) {
		t.Errorf("delete %q: %v", key, err)
	}
	if left := list(t, s, "", ""); !slices.Equal(left, keys[:1]) {
		t.Errorf("%d keys are left", len(left))
	}
	if failed := deleter.DeleteAll(t.Context(), nil); len(failed) > 0 {
		t.Errorf("delete of no keys: %v", failed)
	}
}

// testDeleteAllConditions asks for what also holds of a store that ignores the conditions: what it says is
// what has become of the objects. See HeedsBatches.
func testDeleteAllConditions(t *testing.T, s bucket.Store) {
	if _, ok := s.(bucket.BatchDeleter); ok {
		deleteUnderConditions(t, s)
	}
}

// HeedsBatches tests that a store whose conditions on deletes are heeded in batches too heeds them for each
// object alone.
func HeedsBatches(t *testing.T, s bucket.Store) {
	t.Helper()
	refused := deleteUnderConditions(t, s)
	for key, want := range map[string]bool{"other": true, "multi": true, "right": false, "parts": false, "any": false, "none": false} {
		if refused[key] != want {
			t.Errorf("delete of %q in a batch: refused is %v", key, refused[key])
		}
	}
}

// deleteUnderConditions deletes objects in a batch, and returns those that were refused.
func deleteUnderConditions(t *testing.T, s bucket.Store) map[string]bool {
	t.Helper()
	list := []bucket.Deletion{{Key: "none", IfMatch: noETag}, {Key: "any"}, {Key: "other", IfMatch: noETag}, {Key: "multi", IfMatch: noETag + "-2"}}
	for _, key := range []string{"any", "other", "multi"} {
		put(t, s, key, "body of "+key, bucket.PutOptions{})
	}
	list = append(list, bucket.Deletion{Key: "right", IfMatch: put(t, s, "right", "body", bucket.PutOptions{}).ETag})
	u, _ := uploadParts(t, s, "parts", bucket.PutOptions{})
	parts, err := u.Complete(t.Context())
	want(t, "complete", err, nil)
	list = append(list, bucket.Deletion{Key: "parts", IfMatch: parts.ETag})
	failed := s.(bucket.BatchDeleter).DeleteAll(t.Context(), list)
	refused := make(map[string]bool)
	for _, d := range list {
		err := failed[d.Key]
		refused[d.Key] = errors.Is(err, bucket.ErrChanged)
		if err != nil && (!refused[d.Key] || d.IfMatch == "" || !strings.HasPrefix(d.IfMatch, noETag)) {
			t.Errorf("delete %+v: %v", d, err)
		}
		_, gone := s.Head(t.Context(), d.Key, bucket.HeadOptions{})
		if d.Key != "none" && errors.Is(gone, bucket.ErrNotFound) == refused[d.Key] {
			t.Errorf("delete %+v: %v, and then %v", d, err, gone)
		}
	}
	return refused
}

// noETag is one that no object has.
const noETag = "00000000000000000000000000000000"
