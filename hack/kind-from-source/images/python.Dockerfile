# What stands in for the published python image: Debian's own Python, and what compiled wheels link against.
FROM scratch
ADD python.tar /
CMD ["python3"]
