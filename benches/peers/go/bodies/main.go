// Two routes for large bodies with net/http/fcgi: "/early" reads the body and tells its length, "/big?n=N" sends N bytes.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/fcgi"
	"strconv"
)

var chunk = bytes.Repeat([]byte("x"), 32*1024)

func early(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	length, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, length)
}

func big(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	left, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for left > 0 {
		size := int64(len(chunk))
		if left < size {
			size = left
		}
		if _, err := w.Write(chunk[:size]); err != nil {
			return
		}
		left -= size
	}
}

func main() {
	http.HandleFunc("/early", early)
	http.HandleFunc("/big", big)
	if err := fcgi.Serve(nil, http.DefaultServeMux); err != nil {
		log.Fatal(err)
	}
}
