// The hello with Go's net/http/fcgi. The listening socket is fd 0.
package main

import (
	"io"
	"log"
	"net/http"
	"net/http/fcgi"
)

func main() {
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", "13")
		io.WriteString(w, "hello, world\n")
	})
	log.Fatal(fcgi.Serve(nil, nil))
}
