"""stub"""
from collections import Counter
class Broken: pass
class Seen:
    ends=Counter(); digest=""
def judge(r): return [], Seen()
