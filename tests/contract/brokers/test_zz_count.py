import tests.contract.brokers.test_books_add_up as m, json, collections
def test_x():
    c=collections.Counter()
    def check(folder):
        b=json.loads((folder/"books.json").read_text())
        c["runs"]+=1; c["ex"]+=len(b["executions"]); 
        for e in b["executions"]: c[e["instrument"]]+=1; c[e["liquidity"]]+=1
        for o in b["orders"]: c[o["status"]]+=1; c["R "+o["refusal"]]+=1
    m.test_cash_and_positions_are_the_sum_of_their_trades(adds_up=check)
    print(c)
