package flat

import (
	"crypto/md5"
	"encoding/base64"
	"net/http"
)

// customerKey returns the MD5 of the key that a customer sends in the headers with a prefix, in
// base64; empty if there is none.
func customerKey(h http.Header, prefix string) (string, error) {
	algorithm, key, sum := h.Get(prefix+"Algorithm"), h.Get(prefix+"Key"), h.Get(prefix+"Key-Md5")
	if algorithm == "" && key == "" && sum == "" {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case algorithm == "":
		return "", invalidArgument("Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
	case algorithm != "AES256":
		return "", invalidEncryption
	case key == "":
		return "", invalidArgument("Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.")
	case err != nil || len(raw) != 32:
		return "", invalidArgument("The secret key was invalid for the specified algorithm.")
	case sum == "":
		return "", invalidArgument("Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.")
	}
	if actual := md5.Sum(raw); base64.StdEncoding.EncodeToString(actual[:]) != sum {
		return "", invalidArgument("The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	return sum, nil
}

// unlock reports whether the headers with a prefix hold the key that an object is read with.
func (o *Object) unlock(h http.Header, prefix string) error {
	sum, err := customerKey(h, prefix)
	switch want := o.customer(); {
	case err != nil:
		return err
	case sum == want:
		return nil
	case want == "":
		return invalidRequest("The encryption parameters are not applicable to this object.")
	case sum == "":
		return invalidRequest("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	}
	return accessDenied
}

// unlockPart reports whether a request to store a part has the key of the upload.
func (o *Object) unlockPart(h http.Header) error {
	sum, err := customerKey(h, customerPrefix)
	switch want := o.customer(); {
	case err != nil:
		return err
	case sum == want:
		return nil
	case want == "":
		return invalidRequest("The multipart upload initiate requested no encryption. Subsequent part requests must not include encryption parameters.")
	case sum == "":
		return invalidRequest("The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	}
	return invalidRequest("The provided encryption parameters did not match the ones used originally.")
}
