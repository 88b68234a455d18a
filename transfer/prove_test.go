package transfer

import "github.com/minio/crc64nvme"

func sumCRC(s string) uint64 { return crc64nvme.Checksum([]byte(s)) }
