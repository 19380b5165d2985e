"""Tables and files on the local disk or in an object store, whole or batch by batch."""
