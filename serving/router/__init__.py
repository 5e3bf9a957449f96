"""The router in front of production: gives the canary its share of the requests, and takes it away when it does badly.

proxy   one request passed on               split   which request goes where, and what lost its share
window  what requests came to, of late      watch   the verdict over canary and production, pure
probe   what both stages say of themselves  guard   the loop: probe, judge, share to 0, alias back
"""
