"""Orders on the wire: placeOrder as clients say it, openOrder and completedOrder of the gateway."""

from __future__ import annotations

from rebalancer.simulators.ib_gateway.layouts import (
    INFINITE,
    POSITIVE,
    SET,
    Choice,
    layout,
    repeat,
    when,
)

C12 = (
    "conId:i symbol secType lastTradeDateOrContractMonth strike:n right multiplier exchange "
    "primaryExchange currency localSymbol tradingClass"
)
"""The contract as clients tell it."""

TAIL = "currency! localSymbol! tradingClass!"
P7_OF_ORDERS = "conId!:i symbol! secType! expiry strike:n=0 right=? multiplier"
"""The contract as the gateway tells it with orders; the others say no `?` for the right."""

_TAG_VALUE = "tag! value!"
_PEG_BENCH, _PEG_BEST, _PEG_MID = "PEG BENCH|PEGBENCH", "PEG BEST|PEGBEST", "PEG MID|PEGMID"

CONDITION = layout(
    "condType!:k",
    Choice(
        "condType",
        (
            (1, "price", layout("conjunction isMore:b price:n conId:i exchange triggerMethod:i")),
            (3, "time", layout("conjunction isMore:b time")),
            (4, "margin cushion", layout("conjunction isMore:b percent:i")),
            (5, "execution", layout("conjunction secType exchange symbol")),
            (6, "volume", layout("conjunction isMore:b volume:i conId:i exchange")),
            (7, "percent change", layout("conjunction isMore:b changePercent:n conId:i exchange")),
        ),
    ),
)

_LEGS = (
    repeat(
        "comboLegs",
        "conId:i=0 ratio:i=0 action exchange openClose:i=0 shortSaleSlot:i=0 designatedLocation "
        "exemptCode:i=-1",
    ),
    repeat("orderComboLegs", "price:n"),
    repeat("smartComboRoutingParams", _TAG_VALUE),
)
_SCALE = when(
    "scalePriceIncrement",
    POSITIVE,
    "scalePriceAdjustValue:n scalePriceAdjustInterval:i scaleProfitOffset:n scaleAutoReset:b=0 "
    "scaleInitPosition:i scaleInitFillQty:i scaleRandomPercent:b=0",
)
_HEDGE = when("hedgeType", SET, "hedgeParam")
_DELTA_NEUTRAL_CONTRACT = when(
    "hasDeltaNeutral",
    SET,
    "deltaNeutralContractConId:i=0 deltaNeutralContractDelta:n=0 deltaNeutralContractPrice:n=0",
)
_ALGO = when("algoStrategy", SET, repeat("algoParams", _TAG_VALUE))
_BENCH = when(
    "orderType",
    _PEG_BENCH,
    "referenceContractId:i=0 isPeggedChangeAmountDecrease:b=0 peggedChangeAmount:n=0 "
    "referenceChangeAmount:n=0 referenceExchangeId",
)
_CONDITIONS = (
    repeat("conditions", *CONDITION),
    when("conditions", SET, "conditionsIgnoreRth:b=0 conditionsCancelOrder:b=0"),
)
_DELTA_NEUTRAL = (
    "deltaNeutralConId:i=0 deltaNeutralSettlingFirm deltaNeutralClearingAccount "
    "deltaNeutralClearingIntent deltaNeutralOpenClose=? deltaNeutralShortSale:b=0 "
    "deltaNeutralShortSaleSlot:i=0 deltaNeutralDesignatedLocation"
)

PLACE_ORDER = layout(
    f"orderId:k {C12} secIdType secId",
    "action totalQuantity:n orderType lmtPrice:n auxPrice:n tif ocaGroup account openClose "
    "origin:i orderRef transmit:b parentId:i blockOrder:b sweepToFill:b displaySize:i "
    "triggerMethod:i outsideRth:b hidden:b",
    when("secType", "BAG", *_LEGS),
    "sharesAllocation discretionaryAmt:n goodAfterTime goodTillDate faGroup faMethod "
    "faPercentage faProfile<177 modelCode shortSaleSlot:i designatedLocation exemptCode:i "
    "ocaType:i rule80A settlingFirm allOrNone:b minQty:i percentOffset:n eTradeOnly:b "
    "firmQuoteOnly:b nbboPriceCap:n auctionStrategy:i startingPrice:n stockRefPrice:n delta:n "
    "stockRangeLower:n stockRangeUpper:n overridePercentageConstraints:b volatility:n "
    "volatilityType:i deltaNeutralOrderType deltaNeutralAuxPrice:n",
    when("deltaNeutralOrderType", SET, _DELTA_NEUTRAL),
    "continuousUpdate:b referencePriceType:i trailStopPrice:n trailingPercent:n "
    "scaleInitLevelSize:i scaleSubsLevelSize:i scalePriceIncrement:n",
    _SCALE,
    "scaleTable activeStartTime activeStopTime hedgeType",
    _HEDGE,
    "optOutSmartRouting:b clearingAccount clearingIntent notHeld:b hasDeltaNeutral:b",
    _DELTA_NEUTRAL_CONTRACT,
    "algoStrategy",
    _ALGO,
    "algoId whatIf:b orderMiscOptions solicited:b randomizeSize:b randomizePrice:b",
    _BENCH,
    *_CONDITIONS,
    "adjustedOrderType triggerPrice:n lmtPriceOffset:n adjustedStopPrice:n "
    "adjustedStopLimitPrice:n adjustedTrailingAmount:n adjustableTrailingUnit:i extOperator "
    "softDollarTierName softDollarTierValue cashQty:n mifid2DecisionMaker mifid2DecisionAlgo "
    "mifid2ExecutionTrader mifid2ExecutionAlgo dontUseAutoPriceForHedge:b isOmsContainer:b "
    "discretionaryUpToLimitPrice:b usePriceMgmtAlgo:b duration:i>=158 postToAts:i>=160 "
    "autoCancelParent:b>=162 advancedErrorOverride>=166 manualOrderTime>=169",
    when("exchange", "IBKRATS", "minTradeQty:i", since=170),
    when(
        "orderType",
        _PEG_BEST,
        "minCompeteSize:i competeAgainstBestOffset:x",
        when("competeAgainstBestOffset", INFINITE, "midOffsetAtWhole:n midOffsetAtHalf:n"),
        since=170,
    ),
    when("orderType", _PEG_MID, "midOffsetAtWhole:n midOffsetAtHalf:n", since=170),
)

# ---------------------------------------------------------------------- what the gateway says

_LAST_FIVE = (
    "minTradeQty:i>=170 minCompeteSize:i>=170 competeAgainstBestOffset:x>=170 "
    "midOffsetAtWhole:n>=170 midOffsetAtHalf:n>=170"
)
_MARGINS = " ".join(
    f"{what}{moment}:p"
    for moment in ("Before", "Change", "After")
    for what in ("initMargin", "maintMargin", "equityWithLoan")
)

OPEN_ORDER = layout(
    f"orderId!:i {P7_OF_ORDERS} exchange! {TAIL} action! totalQuantity!:n orderType! "
    "lmtPrice:n=0.0 auxPrice:n=0.0 tif! ocaGroup account! openClose origin:i=0 orderRef "
    "clientId!:i permId!:l outsideRth:b=0 hidden:b=0 discretionaryAmt:n=0 goodAfterTime "
    "sharesAllocation faGroup faMethod faPercentage faProfile<177 modelCode goodTillDate "
    "rule80A percentOffset:n settlingFirm shortSaleSlot:i=0 designatedLocation exemptCode:i=-1 "
    "auctionStrategy:i=0 startingPrice:n stockRefPrice:n delta:n stockRangeLower:n "
    "stockRangeUpper:n displaySize:i=2147483647 blockOrder:b=0 sweepToFill:b=0 allOrNone:b=0 "
    "minQty:i ocaType:i=3 eTradeOnly:b=0 firmQuoteOnly:b=0 nbboPriceCap:n parentId:i=0 "
    "triggerMethod:i=0 volatility:n volatilityType:i=0 deltaNeutralOrderType=None "
    "deltaNeutralAuxPrice:n",
    when("deltaNeutralOrderType", SET, _DELTA_NEUTRAL),
    "continuousUpdate:b=0 referencePriceType:i=0 trailStopPrice:n trailingPercent:n "
    "basisPoints:n basisPointsType:i comboLegsDescrip",
    *_LEGS,
    "scaleInitLevelSize:i=2147483647 scaleSubsLevelSize:i=2147483647 scalePriceIncrement:n",
    _SCALE,
    "hedgeType",
    _HEDGE,
    "optOutSmartRouting:b=0 clearingAccount clearingIntent=IB notHeld:b=0 hasDeltaNeutral:b=0",
    _DELTA_NEUTRAL_CONTRACT,
    "algoStrategy",
    _ALGO,
    f"solicited:b=0 whatIf:b=0 status! {_MARGINS} commission:n minCommission:n maxCommission:n "
    "commissionCurrency warningText randomizeSize:b=0 randomizePrice:b=0",
    _BENCH,
    *_CONDITIONS,
    "adjustedOrderType=None triggerPrice:p trailStopPriceAgain:p lmtPriceOffset:p "
    "adjustedStopPrice:p adjustedStopLimitPrice:p adjustedTrailingAmount:p "
    "adjustableTrailingUnit:i=0 softDollarTierName softDollarTierValue softDollarTierDisplayName "
    "cashQty:n=0 dontUseAutoPriceForHedge:b=0 isOmsContainer:b=0 discretionaryUpToLimitPrice:b=0 "
    "usePriceMgmtAlgo:b=0 duration:i>=159 postToAts:i>=160 autoCancelParent:b=0>=162",
    _LAST_FIVE,
)

COMPLETED_ORDER = layout(
    f"{P7_OF_ORDERS} exchange! {TAIL} action! totalQuantity!:n orderType! lmtPrice:n=0.0 "
    "auxPrice:n=0.0 tif! ocaGroup account! openClose origin:i=0 orderRef permId!:l "
    "outsideRth:b=0 hidden:b=0 discretionaryAmt:n=0 goodAfterTime faGroup faMethod faPercentage "
    "faProfile<177 modelCode goodTillDate rule80A percentOffset:n settlingFirm shortSaleSlot:i=0 "
    "designatedLocation exemptCode:i=-1 startingPrice:n stockRefPrice:n delta:n "
    "stockRangeLower:n stockRangeUpper:n displaySize:i=2147483647 sweepToFill:b=0 allOrNone:b=0 "
    "minQty:i ocaType:i=3 triggerMethod:i=0 volatility:n volatilityType:i=0 "
    "deltaNeutralOrderType=None deltaNeutralAuxPrice:n",
    when(
        "deltaNeutralOrderType",
        SET,
        "deltaNeutralConId:i=0 deltaNeutralShortSale:b=0 deltaNeutralShortSaleSlot:i=0 "
        "deltaNeutralDesignatedLocation",
    ),
    "continuousUpdate:b=0 referencePriceType:i=0 trailStopPrice:n trailingPercent:n "
    "comboLegsDescrip",
    *_LEGS,
    "scaleInitLevelSize:i=2147483647 scaleSubsLevelSize:i=2147483647 scalePriceIncrement:n",
    _SCALE,
    "hedgeType",
    _HEDGE,
    "clearingAccount clearingIntent=IB notHeld:b=0 hasDeltaNeutral:b=0",
    _DELTA_NEUTRAL_CONTRACT,
    "algoStrategy",
    _ALGO,
    "solicited:b=0 status! randomizeSize:b=0 randomizePrice:b=0",
    _BENCH,
    *_CONDITIONS,
    "trailStopPriceAgain:p lmtPriceOffset:p cashQty:n=0 dontUseAutoPriceForHedge:b=0 "
    "isOmsContainer:b=0 autoCancelDate filledQuantity!:n refFuturesConId:i=0 "
    "autoCancelParent:b=0 shareholder=Not_an_insider_or_substantial_shareholder "
    "imbalanceOnly:b=0 routeMarketableToBbo:b=0 parentPermId:l=0 completedTime! completedStatus!",
    _LAST_FIVE,
)
