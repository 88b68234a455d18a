package flat

import (
	"fmt"
	"net/http"
	"strings"
)

// A Failure is an answer of S3 that is not success.
type Failure struct {
	Status        int // of HTTP
	Code, Message string
}

// Error returns the code and the message.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// The failures that are always worded alike.
var (
	accessDenied         = &Failure{http.StatusForbidden, "AccessDenied", "Access Denied"}
	noSuchBucket         = &Failure{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	noSuchKey            = &Failure{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
	noSuchVersion        = &Failure{http.StatusNotFound, "NoSuchVersion", "The specified version does not exist."}
	noSuchUpload         = &Failure{http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	bucketExists         = &Failure{http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."}
	preconditionFailed   = &Failure{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
	notModified          = &Failure{http.StatusNotModified, "NotModified", "Not Modified"}
	notImplemented       = &Failure{http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented"}
	invalidRange         = &Failure{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"}
	invalidPartNumber    = &Failure{http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable"}
	invalidObjectState   = &Failure{http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class"}
	notInActiveTier      = &Failure{http.StatusForbidden, "ObjectNotInActiveTierError", "The source object of the COPY operation is not in the active tier and is only stored in Amazon Glacier."}
	invalidURI           = &Failure{http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI."}
	keyTooLong           = &Failure{http.StatusBadRequest, "KeyTooLongError", "Your key is too long"}
	incompleteBody       = &Failure{http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	missingContentLength = &Failure{http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	malformedTrailer     = &Failure{http.StatusBadRequest, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema."}
	malformedXML         = &Failure{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	invalidDigest        = &Failure{http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid."}
	badMD5               = &Failure{http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received."}
	badSHA256            = &Failure{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	invalidStorageClass  = &Failure{http.StatusBadRequest, "InvalidStorageClass", "The storage class you specified is not valid"}
	invalidEncryption    = &Failure{http.StatusBadRequest, "InvalidEncryptionAlgorithmError", "The encryption request you specified is not valid. Supported value: AES256."}
	metadataTooLarge     = &Failure{http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"}
	tooManyTags          = &Failure{http.StatusBadRequest, "BadRequest", "Object tags cannot be greater than 10"}
	invalidPart          = &Failure{http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	invalidPartOrder     = &Failure{http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."}
	entityTooSmall       = &Failure{http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"}
)

func invalidRequest(format string, args ...any) *Failure {
	return &Failure{http.StatusBadRequest, "InvalidRequest", fmt.Sprintf(format, args...)}
}

func invalidArgument(format string, args ...any) *Failure {
	return &Failure{http.StatusBadRequest, "InvalidArgument", fmt.Sprintf(format, args...)}
}

// badChecksum says that a body is not the one that a checksum belongs to.
func badChecksum(algorithm string) *Failure {
	return &Failure{http.StatusBadRequest, "BadDigest", "The " + algorithm + " you specified did not match the calculated checksum."}
}

// unknownChecksum says that there is no such kind of checksum.
func unknownChecksum() *Failure {
	return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [%s]", strings.Join(algorithms, ", "))
}
