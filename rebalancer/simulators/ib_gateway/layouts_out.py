"""What the gateway says, message by message: the name, the number, the fields."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.simulators.ib_gateway.layouts import Part, layout, repeat
from rebalancer.simulators.ib_gateway.layouts_orders import COMPLETED_ORDER, OPEN_ORDER, TAIL

_V1, _REQ = "version:i=1", "reqId!:i"
_P7 = "conId!:i symbol! secType! expiry strike:n=0 right multiplier"
_ONE_REQUEST = layout(_V1, _REQ)
_TICK = f"version:i=6 {_REQ} tickType!:i"

_ORDERS: Mapping[str, tuple[int, tuple[Part, ...]]] = {
    "orderStatus": (
        3,
        layout(
            "orderId!:i status! filled!:n remaining!:n avgFillPrice:n=0 permId!:l parentId:i=0 "
            "lastFillPrice:n=0 clientId!:i whyHeld mktCapPrice:n=0"
        ),
    ),
    "openOrder": (5, OPEN_ORDER),
    "execDetails": (
        11,
        layout(
            f"{_REQ} orderId!:i {_P7} exchange! {TAIL} execId! time! account! execExchange! side! "
            "shares!:n price!:n permId!:l clientId!:i liquidation:i=0 cumQty!:n avgPrice!:n "
            "orderRef evRule evMultiplier:n modelCode lastLiquidity:i=0 "
            "pendingPriceRevision:b=0>=178"
        ),
    ),
    "openOrderEnd": (53, layout(_V1)),
    "execDetailsEnd": (55, _ONE_REQUEST),
    "commissionReport": (
        59,
        layout(_V1, "execId! commission!:n currency! realizedPNL:p yield:p yieldRedemptionDate:i"),
    ),
    "completedOrder": (101, COMPLETED_ORDER),
    "completedOrdersEnd": (102, ()),
}

_ACCOUNT: Mapping[str, tuple[int, tuple[Part, ...]]] = {
    "accountValue": (6, layout("version:i=2 key! value! currency! account!")),
    "portfolioValue": (
        7,
        layout(
            f"version:i=8 {_P7} primaryExchange! {TAIL} position!:n marketPrice!:n "
            "marketValue!:n avgCost!:n unrealizedPNL!:n realizedPNL!:n account!"
        ),
    ),
    "updateTime": (8, layout(_V1, "time!")),
    "accountDownloadEnd": (54, layout(_V1, "account!")),
    "position": (
        61,
        layout(f"version:i=3 account! {_P7} exchange {TAIL} position!:n avgCost!:n"),
    ),
    "positionEnd": (62, layout(_V1)),
    "accountSummary": (63, layout(_V1, _REQ, "account! tag! value! currency!")),
    "accountSummaryEnd": (64, _ONE_REQUEST),
    "positionMulti": (
        71,
        layout(_V1, _REQ, f"account! {_P7} exchange {TAIL} position!:n avgCost!:n modelCode"),
    ),
    "positionMultiEnd": (72, _ONE_REQUEST),
    "accountUpdateMulti": (
        73,
        layout(_V1, _REQ, "account! modelCode key! value! currency!"),
    ),
    "accountUpdateMultiEnd": (74, _ONE_REQUEST),
    "pnl": (94, layout(_REQ, "dailyPnL!:n unrealizedPnL!:p realizedPnL!:p")),
    "pnlSingle": (
        95,
        layout(_REQ, "position!:n dailyPnL!:n unrealizedPnL!:p realizedPnL!:p value!:n"),
    ),
}

_CONTRACTS: Mapping[str, tuple[int, tuple[Part, ...]]] = {
    "contractDetails": (
        10,
        layout(
            f"version:i=8<164 {_REQ} symbol! secType! lastTradeDate strike:n=0 right exchange! "
            "currency! localSymbol! marketName! tradingClass! conId!:i minTick!:n "
            "mdSizeMultiplier:i=100<164 multiplier orderTypes! validExchanges! "
            "priceMagnifier:i=1 underConId:i=0 longName! primaryExchange! contractMonth industry "
            "category subcategory timeZoneId! tradingHours! liquidHours! evRule evMultiplier:i=0",
            repeat("secIdList", "tag! value!"),
            "aggGroup:i=1 underSymbol underSecType marketRuleIds! realExpirationDate stockType "
            "minSize:n>=164 sizeIncrement:n>=164 suggestedSizeIncrement:n>=163",
        ),
    ),
    "contractDetailsEnd": (52, _ONE_REQUEST),
    "secDefOptParams": (
        75,
        layout(
            _REQ,
            "exchange! underConId!:i tradingClass! multiplier!",
            repeat("expirations", "*"),
            repeat("strikes", "*:n"),
        ),
    ),
    "secDefOptParamsEnd": (76, layout(_REQ)),
    "symbolSamples": (
        79,
        layout(
            _REQ,
            repeat(
                "rows",
                "conId!:i symbol! secType! primaryExchange! currency!",
                repeat("derivatives", "*"),
                "description>=176 issuerId>=176",
            ),
        ),
    ),
    "marketRule": (93, layout("marketRuleId!:i", repeat("increments", "lowEdge!:n increment!:n"))),
}

_MARKET: Mapping[str, tuple[int, tuple[Part, ...]]] = {
    "tickPrice": (1, layout(_TICK, "price!:n size:n=0 attribMask:i=0")),
    "tickSize": (2, layout(_TICK, "size!:n")),
    "historicalData": (
        17,
        layout(
            f"{_REQ} start! end!",
            repeat("rows", "date! open!:n high!:n low!:n close!:n volume!:n wap!:n count!:i"),
        ),
    ),
    "tickGeneric": (45, layout(_TICK, "value!:n")),
    "tickString": (46, layout(_TICK, "value!")),
    "tickSnapshotEnd": (57, _ONE_REQUEST),
    "marketDataType": (58, layout(_V1, _REQ, "marketDataType!:i")),
    "tickReqParams": (81, layout(_REQ, "minTick!:n bboExchange! snapshotPermissions!:i")),
    "headTimestamp": (88, layout(_REQ, "headTimestamp!")),
    "histogramData": (89, layout(_REQ, repeat("rows", "price!:n count!:i"))),
    "historicalDataUpdate": (
        90,
        layout(_REQ, "count!:i date! open!:n close!:n high!:n low!:n wap!:n volume!:n"),
    ),
    "historicalSchedule": (
        106,
        layout(_REQ, "start! end! timeZone!", repeat("rows", "start! end! refDate!")),
    ),
}

_OTHERS: Mapping[str, tuple[int, tuple[Part, ...]]] = {
    "errMsg": (4, layout("version:i=2 id!:i code!:i text! advancedOrderRejectJson>=166")),
    "nextValidId": (9, layout(_V1, "orderId!:i")),
    "managedAccounts": (15, layout(_V1, "accounts!")),
    "receiveFA": (16, layout(_V1, "faDataType!:i xml!")),
    "scannerParameters": (19, layout(_V1, "xml!")),
    "currentTime": (49, layout(_V1, "time!:l")),
    "displayGroupList": (67, layout(_V1, _REQ, "groups!")),
    "softDollarTiers": (77, layout(_REQ, repeat("rows", "name! value! displayName!"))),
    "familyCodes": (78, layout(repeat("rows", "account! familyCode"))),
    "mktDepthExchanges": (
        80,
        layout(repeat("rows", "exchange! secType! listingExchange serviceDataType! aggGroup:i=1")),
    ),
    "smartComponents": (82, layout(_REQ, repeat("rows", "bit!:i exchange! letter!"))),
    "newsProviders": (85, layout(repeat("rows", "code! name!"))),
    "historicalNewsEnd": (87, layout(_REQ, "hasMore:b=0")),
    "replaceFAEnd": (103, layout(_REQ, "text!")),
    "userInfo": (107, layout(_REQ, "whiteBrandingId")),
}

ANSWERS: Mapping[str, tuple[int, tuple[Part, ...]]] = dict(
    sorted(
        {**_ORDERS, **_ACCOUNT, **_CONTRACTS, **_MARKET, **_OTHERS}.items(),
        key=lambda answer: answer[1][0],
    )
)
"""Every message that the gateway sends, by its name, in the order of the numbers."""
