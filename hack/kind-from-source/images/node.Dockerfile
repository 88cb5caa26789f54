# The node image: what kind's own images/base/Dockerfile and `kind build node-image` make, less what a cluster without
# network file systems, NetworkPolicy and volumes can do without. kind itself is unmodified; what it expects of a node
# image is: an entrypoint, systemd units, /kind/version, /kind/manifests, kubeadm, kubelet, kubectl, and every image
# that kubeadm names in containerd's store.
FROM scratch AS node
ADD node.tar /
COPY files/ /
COPY containerd ctr containerd-shim-runc-v2 /usr/local/bin/
COPY host-local loopback portmap ptp /opt/cni/bin/
COPY kubeadm kubectl kubelet /usr/bin/
COPY pods.conflist pods.toml /etc/containerd/
COPY default-cni.yaml /kind/manifests/
ARG KUBERNETES_VERSION
# The module cache drops the executable bits of kind's scripts. systemd must not start what only makes sense on a host.
RUN chmod 755 /usr/local/bin/entrypoint /kind/bin/* \
 && mkdir -p /etc/kubernetes/manifests \
 && printf %s "$KUBERNETES_VERSION" > /kind/version \
 && cat /etc/containerd/pods.toml >> /etc/containerd/config.toml \
 && ctr oci spec \
  | jq '.hooks.createContainer = [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  > /etc/containerd/cri-base.json \
 && rm -f /etc/machine-id /etc/systemd/system/*.wants/* /lib/systemd/system/multi-user.target.wants/* \
      /lib/systemd/system/basic.target.wants/* /lib/systemd/system/local-fs.target.wants/* \
      /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
      /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl* \
 && echo ReadKMsg=no >> /etc/systemd/journald.conf \
 && systemctl enable kubelet containerd undo-mount-hacks \
 && systemctl mask systemd-binfmt \
 && ln -sf /usr/lib/systemd/systemd /sbin/init

# A stage of its own, so that the archive does not stay in the image beside the store.
FROM node AS images
LABEL tokenpace.stage=images
COPY images.tar /
RUN containerd > /containerd.log 2>&1 & \
    until ctr version > /dev/null 2>&1; do kill -0 $! || { cat /containerd.log; exit 1; }; sleep 0.1; done \
 && ctr -n k8s.io images import --no-unpack --label io.cri-containerd.pinned=pinned /images.tar \
 && kill $! && wait $!

FROM node
COPY --from=images /var/lib/containerd /var/lib/containerd
# systemd looks for the first, and leaves on the second instead of SIGTERM.
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
