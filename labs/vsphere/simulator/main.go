// A vCenter on loopback: govmomi's simulator with accounts that have passwords. Run as "vcenter ask", it is a client that
// says as JSON what a running one answers to an administrator.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "ask" {
		if err := ask(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	model := simulator.VPX()
	flag.IntVar(&model.Datacenter, "datacenters", 1, "datacenters")
	flag.IntVar(&model.Cluster, "clusters", 1, "clusters of each datacenter")
	flag.IntVar(&model.ClusterHost, "hosts", 2, "hosts of each cluster")
	flag.IntVar(&model.Machine, "machines", 3, "virtual machines of each cluster")
	flag.IntVar(&model.Datastore, "datastores", 1, "datastores of each datacenter")
	listen := flag.String("listen", "127.0.0.1:8989", "address")
	certificate := flag.String("certificate", "", "path of a certificate in PEM")
	key := flag.String("key", "", "path of its key in PEM")
	accounts := flag.String("accounts", "", "path of a JSON object of passwords by user names; read at each login")
	idle := flag.String("session-timeout", "", "how long a session may be idle, as 30m")
	delay := flag.Int("task-delay", 0, "how long each task takes at least, in milliseconds")
	flag.Parse()
	model.Host = 0

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	if err := model.Create(); err != nil {
		return err
	}
	defer model.Remove()
	if *delay > 0 {
		// Without the lock of its object, whose properties can be read while the task waits.
		simulator.TaskDelay = simulator.DelayConfig{Delay: *delay, MethodDelay: map[string]int{"LockHandoff": 0}}
	}
	registry := model.Service.Context.Map
	if *idle != "" {
		option := &types.OptionValue{Key: "config.vmacore.soap.sessionTimeout", Value: *idle}
		registry.OptionManager().UpdateOptions(&types.UpdateOptions{ChangedValue: []types.BaseOptionValue{option}})
	}
	// With a login of its own the simulator asks the function below; it is not one that anybody could use.
	model.Service.Listen = &url.URL{Host: *listen, User: url.User("nobody")}
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	registry.SessionManager().ValidLogin = func(login *types.Login) bool {
		return isRight(*accounts, login.UserName, login.Password)
	}
	server := model.Service.NewServer()
	defer server.Close()

	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
	return nil
}

func isRight(path, name, password string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var accounts map[string]string
	if json.Unmarshal(text, &accounts) != nil {
		return false
	}
	expected, known := accounts[name]
	return known && password != "" && password == expected
}
