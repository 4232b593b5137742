package testcluster

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"

	"golang.org/x/net/dns/dnsmessage"
)

// zone ends the names of services.
const zone = ".svc.cluster.local."

// answerTTL is how long an answer holds, in seconds: an address may change.
const answerTTL = 5

// dnsServer answers for the names of services, over UDP, as the specification of
// Kubernetes' DNS-based service discovery (version 1.1.0) has them: A records of
// NAME.NAMESPACE.svc.cluster.local, for a service without an address of its own those
// of its endpoints, and of a single endpoint by its host name before that.
type dnsServer struct {
	conn     net.PacketConn
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	stop     chan struct{}
	done     sync.WaitGroup
}

// startDNS answers on the node's address. It belongs to this process, not to the
// cluster's.
func (c *Cluster) startDNS() (*dnsServer, error) {
	factory := informers.NewSharedInformerFactory(c.Client(), 0)
	d := &dnsServer{services: factory.Core().V1().Services().Lister(), slices: factory.Discovery().V1().EndpointSlices().Lister(), stop: make(chan struct{})}
	err := c.place.do(func() (err error) {
		d.conn, err = net.ListenPacket("udp4", netip.AddrPortFrom(c.net.node, dnsPort).String())
		return err
	})
	if err != nil {
		return nil, err
	}
	factory.Start(d.stop)
	factory.WaitForCacheSync(d.stop)
	d.done.Go(d.serve)
	return d, nil
}

func (d *dnsServer) close() {
	close(d.stop)
	d.conn.Close()
	d.done.Wait()
}

func (d *dnsServer) serve() {
	b := make([]byte, 512)
	for {
		n, from, err := d.conn.ReadFrom(b)
		select {
		case <-d.stop:
			return
		default:
		}
		if err != nil {
			time.Sleep(pollInterval)
			continue
		}
		if answer := d.answer(b[:n]); answer != nil {
			d.conn.WriteTo(answer, from) // whoever asked asks again
		}
	}
}

// answer is nil for what is no question.
func (d *dnsServer) answer(message []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || header.Response {
		return nil
	}
	question, err := p.Question()
	if err != nil {
		return nil
	}
	addresses, known := d.lookup(strings.ToLower(question.Name.String()))
	reply := dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired}
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, reply)
	b.EnableCompression()
	if b.StartQuestions() != nil || b.Question(question) != nil || b.StartAnswers() != nil {
		return nil
	}
	if question.Type == dnsmessage.TypeA {
		for _, a := range addresses {
			if b.AResource(dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: answerTTL}, dnsmessage.AResource{A: a.As4()}) != nil {
				return nil
			}
		}
	}
	out, err := b.Finish()
	if err != nil {
		return nil
	}
	return out
}

// lookup are the addresses of a name; a name may be known and have none.
func (d *dnsServer) lookup(name string) (addresses []netip.Addr, known bool) {
	name, found := strings.CutSuffix(name, zone)
	words := strings.Split(name, ".")
	if !found || len(words) < 2 || len(words) > 3 {
		return nil, false
	}
	host := ""
	if len(words) == 3 {
		host, words = words[0], words[1:]
	}
	service, err := d.services.Services(words[1]).Get(words[0])
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP != corev1.ClusterIPNone && host == "" {
		a, err := netip.ParseAddr(service.Spec.ClusterIP)
		return []netip.Addr{a}, err == nil
	}
	of, err := d.slices.EndpointSlices(words[1]).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: words[0]}))
	if err != nil {
		return nil, false
	}
	for _, slice := range of {
		for _, e := range slice.Endpoints {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready || service.Spec.PublishNotReadyAddresses
			if !ready || host != "" && (e.Hostname == nil || *e.Hostname != host) {
				continue
			}
			for _, text := range e.Addresses {
				if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
					addresses = append(addresses, a)
				}
			}
		}
	}
	return addresses, host == "" || len(addresses) > 0
}
