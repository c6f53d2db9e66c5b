"""What clients say, message by message: the number, the name, the fields.

The default of a `version` is what clients send there; a gateway does not care.
"""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.simulators.ib_gateway.layouts import SET, Part, layout, repeat, when
from rebalancer.simulators.ib_gateway.layouts_orders import C12, PLACE_ORDER

_V1, _REQ = "version:i=1", "reqId:k"
_C11 = C12.replace("primaryExchange ", "")
_LEGS = when("secType", "BAG", repeat("comboLegs", "conId:i ratio:i action exchange"))
_SCANNER = (
    "numberOfRows:i instrument locationCode scanCode abovePrice:n belowPrice:n aboveVolume:i "
    "marketCapAbove:n marketCapBelow:n moodyRatingAbove moodyRatingBelow spRatingAbove "
    "spRatingBelow maturityDateAbove maturityDateBelow couponRateAbove:n couponRateBelow:n "
    "excludeConvertible:b averageOptionVolumeAbove:i scannerSettingPairs stockTypeFilter "
    "filterOptions options"
)
_ONE_REQUEST = layout(_V1, _REQ)
_BARE_REQUEST = layout(_REQ)
_NOTHING_ELSE = layout(_V1)

REQUESTS: Mapping[int, tuple[str, tuple[Part, ...]]] = {
    1: (
        "reqMktData",
        layout(
            f"version:i=11 {_REQ} {C12}",
            _LEGS,
            "hasDeltaNeutral:b",
            when(
                "hasDeltaNeutral",
                SET,
                "deltaNeutralContractConId:i deltaNeutralContractDelta:n "
                "deltaNeutralContractPrice:n",
            ),
            "genericTicks snapshot:b regulatorySnapshot:b options",
        ),
    ),
    2: ("cancelMktData", layout("version:i=2", _REQ)),
    3: ("placeOrder", PLACE_ORDER),
    4: ("cancelOrder", layout(_V1, "orderId:k manualCancelOrderTime>=169")),
    5: ("reqOpenOrders", _NOTHING_ELSE),
    6: ("reqAccountUpdates", layout("version:i=2 subscribe:b acctCode")),
    7: (
        "reqExecutions",
        layout(
            f"version:i=3 {_REQ} clientId:i acctCode time symbol secType exchange side",
        ),
    ),
    8: ("reqIds", layout(_V1, "numIds:i")),
    9: (
        "reqContractDetails",
        layout(f"version:i=8 {_REQ} {C12} includeExpired:b secIdType secId issuerId>=176"),
    ),
    10: ("reqMktDepth", layout(f"version:i=5 {_REQ} {C12} numRows:i isSmartDepth:b options")),
    11: ("cancelMktDepth", layout(_V1, _REQ, "isSmartDepth:b")),
    12: ("reqNewsBulletins", layout(_V1, "allMsgs:b")),
    13: ("cancelNewsBulletins", _NOTHING_ELSE),
    14: ("setServerLogLevel", layout(_V1, "logLevel:i")),
    15: ("reqAutoOpenOrders", layout(_V1, "autoBind:b")),
    16: ("reqAllOpenOrders", _NOTHING_ELSE),
    17: ("reqManagedAccts", _NOTHING_ELSE),
    18: ("requestFA", layout(_V1, "faDataType:i")),
    19: ("replaceFA", layout(_V1, "faDataType:i xml", _REQ)),
    20: (
        "reqHistoricalData",
        layout(
            f"{_REQ} {C12} includeExpired:b endDateTime barSize duration useRTH:b whatToShow "
            "formatDate:i",
            _LEGS,
            "keepUpToDate:b chartOptions",
        ),
    ),
    21: (
        "exerciseOptions",
        layout(f"version:i=2 {_REQ} {_C11} exerciseAction:i exerciseQuantity:i account override:i"),
    ),
    22: ("reqScannerSubscription", layout(_REQ, _SCANNER)),
    23: ("cancelScannerSubscription", _ONE_REQUEST),
    24: ("reqScannerParameters", _NOTHING_ELSE),
    25: ("cancelHistoricalData", _ONE_REQUEST),
    49: ("reqCurrentTime", _NOTHING_ELSE),
    50: (
        "reqRealTimeBars",
        layout(f"version:i=3 {_REQ} {C12} barSize:i whatToShow useRTH:b options"),
    ),
    51: ("cancelRealTimeBars", _ONE_REQUEST),
    52: (
        "reqFundamentalData",
        layout(
            f"version:i=2 {_REQ} conId:i symbol secType exchange primaryExchange currency "
            "localSymbol reportType optionsCount:i options"
        ),
    ),
    53: ("cancelFundamentalData", _ONE_REQUEST),
    # Of 54 and 55: some clients write how many options there are before them, some do not.
    54: (
        "calculateImpliedVolatility",
        layout(f"version:i=3 {_REQ} {C12} optionPrice:n underPrice:n options:r"),
    ),
    55: (
        "calculateOptionPrice",
        layout(f"version:i=3 {_REQ} {C12} volatility:n underPrice:n options:r"),
    ),
    56: ("cancelCalculateImpliedVolatility", _ONE_REQUEST),
    57: ("cancelCalculateOptionPrice", _ONE_REQUEST),
    58: ("reqGlobalCancel", _NOTHING_ELSE),
    59: ("reqMarketDataType", layout(_V1, "marketDataType:i")),
    61: ("reqPositions", _NOTHING_ELSE),
    62: ("reqAccountSummary", layout(_V1, _REQ, "group tags")),
    63: ("cancelAccountSummary", _ONE_REQUEST),
    64: ("cancelPositions", _NOTHING_ELSE),
    65: ("verifyRequest", layout(_V1, "apiName apiVersion")),
    66: ("verifyMessage", layout(_V1, "apiData")),
    67: ("queryDisplayGroups", _ONE_REQUEST),
    68: ("subscribeToGroupEvents", layout(_V1, _REQ, "groupId:i")),
    69: ("updateDisplayGroup", layout(_V1, _REQ, "contractInfo")),
    70: ("unsubscribeFromGroupEvents", _ONE_REQUEST),
    71: ("startApi", layout("version:i=2 clientId:k optCapab")),
    72: ("verifyAndAuthRequest", layout(_V1, "apiName apiVersion opaqueIsvKey")),
    73: ("verifyAndAuthMessage", layout(_V1, "apiData xyzResponse")),
    74: ("reqPositionsMulti", layout(_V1, _REQ, "account modelCode")),
    75: ("cancelPositionsMulti", _ONE_REQUEST),
    76: ("reqAccountUpdatesMulti", layout(_V1, _REQ, "account modelCode ledgerAndNLV:b")),
    77: ("cancelAccountUpdatesMulti", _ONE_REQUEST),
    78: (
        "reqSecDefOptParams",
        layout(_REQ, "underlyingSymbol futFopExchange underlyingSecType underlyingConId:i"),
    ),
    79: ("reqSoftDollarTiers", _BARE_REQUEST),
    80: ("reqFamilyCodes", ()),
    81: ("reqMatchingSymbols", layout(_REQ, "pattern")),
    82: ("reqMktDepthExchanges", ()),
    83: ("reqSmartComponents", layout(_REQ, "bboExchange")),
    84: ("reqNewsArticle", layout(_REQ, "providerCode articleId options")),
    85: ("reqNewsProviders", ()),
    86: (
        "reqHistoricalNews",
        layout(_REQ, "conId:i providerCodes startDateTime endDateTime totalResults:i options"),
    ),
    87: (
        "reqHeadTimestamp",
        layout(f"{_REQ} {C12} includeExpired:b useRTH:b whatToShow formatDate:i"),
    ),
    88: ("reqHistogramData", layout(f"{_REQ} {C12} includeExpired:b useRTH:b timePeriod")),
    89: ("cancelHistogramData", _BARE_REQUEST),
    90: ("cancelHeadTimestamp", _BARE_REQUEST),
    91: ("reqMarketRule", layout("marketRuleId:i")),
    92: ("reqPnL", layout(_REQ, "account modelCode")),
    93: ("cancelPnL", _BARE_REQUEST),
    94: ("reqPnLSingle", layout(_REQ, "account modelCode conId:i")),
    95: ("cancelPnLSingle", _BARE_REQUEST),
    96: (
        "reqHistoricalTicks",
        layout(
            f"{_REQ} {C12} includeExpired:b startDateTime endDateTime numberOfTicks:i whatToShow "
            "useRTH:b ignoreSize:b options"
        ),
    ),
    97: ("reqTickByTickData", layout(f"{_REQ} {C12} tickType numberOfTicks:i ignoreSize:b")),
    98: ("cancelTickByTickData", _BARE_REQUEST),
    99: ("reqCompletedOrders", layout("apiOnly:b")),
    100: ("reqWshMetaData", _BARE_REQUEST),
    101: ("cancelWshMetaData", _BARE_REQUEST),
    102: (
        "reqWshEventData",
        layout(
            f"{_REQ} conId:i filter>=171 fillWatchlist:b>=171 fillPortfolio:b>=171 "
            "fillCompetitors:b>=171 startDate>=173 endDate>=173 totalLimit:i>=173"
        ),
    ),
    103: ("cancelWshEventData", _BARE_REQUEST),
    104: ("reqUserInfo", _BARE_REQUEST),
}
"""Every request that versions 157 to 178 know."""
