package transfer

import (
	"path"
	"strings"
)

// contentType guesses the Content-Type of an object by the extension of its key. It returns ""
// where it does not know one, and then none is sent. The table is part of the program, so that
// a tree is stored alike from every machine.
func contentType(key string) string {
	ext := strings.ToLower(path.Ext(key))
	switch ext {
	case ".gz", ".bz2", ".xz", ".br", ".z": // an encoding, not a type: the name before it tells
		ext = strings.ToLower(path.Ext(strings.TrimSuffix(key, path.Ext(key))))
	case ".tgz", ".tbz2", ".txz", ".taz", ".tz":
		return "application/x-tar"
	case ".svgz":
		return "image/svg+xml"
	}
	return types[ext]
}

// types are those that aws guesses on a Linux machine with a current Python: the IANA registry
// and the customs of the web.
var types = map[string]string{
	".3gp": "video/3gpp", ".7z": "application/x-7z-compressed", ".aac": "audio/aac",
	".aif": "audio/x-aiff", ".aifc": "audio/x-aiff", ".aiff": "audio/x-aiff", ".ai": "application/postscript",
	".au": "audio/basic", ".avi": "video/x-msvideo", ".avif": "image/avif", ".bat": "text/plain",
	".bin": "application/octet-stream", ".bmp": "image/bmp", ".c": "text/plain",
	".cpio": "application/x-cpio", ".csh": "application/x-csh", ".css": "text/css", ".csv": "text/csv",
	".deb": "application/vnd.debian.binary-package", ".dll": "application/octet-stream",
	".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".dtd": "application/xml-dtd", ".dvi": "application/x-dvi", ".eml": "message/rfc822", ".eot": "application/vnd.ms-fontobject",
	".eps": "application/postscript", ".epub": "application/epub+zip", ".exe": "application/octet-stream",
	".flac": "audio/flac", ".flv": "video/x-flv", ".geojson": "application/geo+json", ".gif": "image/gif",
	".h": "text/plain", ".heic": "image/heic", ".heif": "image/heif", ".hdf": "application/x-hdf",
	".htm": "text/html", ".html": "text/html", ".ico": "image/vnd.microsoft.icon", ".ics": "text/calendar",
	".jar": "application/java-archive", ".jpe": "image/jpeg", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
	".js": "text/javascript", ".json": "application/json", ".jsonld": "application/ld+json", ".ksh": "text/plain",
	".latex": "application/x-latex", ".m1v": "video/mpeg", ".m3u": "application/vnd.apple.mpegurl",
	".m3u8": "application/vnd.apple.mpegurl", ".m4a": "audio/mp4", ".m4v": "video/mp4", ".man": "application/x-troff-man",
	".md": "text/markdown", ".mht": "message/rfc822", ".mhtml": "message/rfc822", ".mid": "audio/midi", ".midi": "audio/midi",
	".mjs": "text/javascript", ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".mp2": "audio/mpeg",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".mpa": "video/mpeg", ".mpe": "video/mpeg", ".mpeg": "video/mpeg",
	".mpg": "video/mpeg", ".nc": "application/x-netcdf", ".o": "application/octet-stream", ".obj": "application/octet-stream",
	".oga": "audio/ogg", ".ogg": "audio/ogg", ".ogv": "video/ogg", ".opus": "audio/ogg", ".otf": "font/otf",
	".p12": "application/x-pkcs12", ".pbm": "image/x-portable-bitmap", ".pdf": "application/pdf", ".pfx": "application/x-pkcs12",
	".pgm": "image/x-portable-graymap", ".pl": "text/plain", ".png": "image/png", ".pnm": "image/x-portable-anymap",
	".ppm": "image/x-portable-pixmap", ".ppt": "application/vnd.ms-powerpoint",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".ps":   "application/postscript", ".py": "text/x-python", ".pyc": "application/x-python-code", ".qt": "video/quicktime",
	".ra": "audio/x-pn-realaudio", ".ras": "image/x-cmu-raster", ".rgb": "image/x-rgb", ".roff": "application/x-troff",
	".rtf": "application/rtf", ".rtx": "text/richtext", ".sgm": "text/x-sgml", ".sgml": "text/x-sgml", ".sh": "application/x-sh",
	".snd": "audio/basic", ".so": "application/octet-stream", ".sql": "application/sql", ".src": "application/x-wais-source",
	".svg": "image/svg+xml", ".swf": "application/x-shockwave-flash", ".t": "application/x-troff", ".tar": "application/x-tar",
	".tcl": "application/x-tcl", ".tex": "application/x-tex", ".texi": "application/x-texinfo", ".texinfo": "application/x-texinfo",
	".tif": "image/tiff", ".tiff": "image/tiff", ".toml": "application/toml", ".tr": "application/x-troff",
	".ts": "video/mp2t", ".tsv": "text/tab-separated-values", ".ttf": "font/ttf", ".txt": "text/plain",
	".vcf": "text/vcard", ".wasm": "application/wasm", ".wav": "audio/x-wav", ".webm": "video/webm",
	".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2",
	".wsdl": "application/xml", ".xbm": "image/x-xbitmap", ".xhtml": "application/xhtml+xml", ".xls": "application/vnd.ms-excel",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xml": "text/xml", ".xpm": "image/x-xpixmap",
	".xsl": "application/xml", ".xwd": "image/x-xwindowdump", ".yaml": "application/yaml", ".yml": "application/yaml",
	".zip": "application/zip",
}
