# One image under the names of six: kubeadm gives a command for each of its pods but CoreDNS, whose program is
# therefore the entrypoint. One image means one layer to unpack when a cluster is created.
FROM scratch
ADD iptables.tar /
COPY kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns /usr/local/bin/
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin
ENTRYPOINT ["coredns"]
