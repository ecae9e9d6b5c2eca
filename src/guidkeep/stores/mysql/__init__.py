"""The store in MySQL, MariaDB or Galera."""
