// An HTTPS server as MinIO is one: Go's net/http. Arguments: the files of certificate and key.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "bucket list") })
	panic(http.ServeTLS(listener, nil, os.Args[1], os.Args[2]))
}
