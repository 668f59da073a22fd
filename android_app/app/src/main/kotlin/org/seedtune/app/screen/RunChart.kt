package org.seedtune.app.screen

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import java.text.NumberFormat
import org.seedtune.app.R

/**
 * The loss of each step as a thin line and smoothed as a thick one, by the scale at the left; the accuracy on the held-out rows as
 * points, by the scale at the right. Time goes from left to right in every language, as its numbers do.
 */
class RunChart(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val thin = line(R.color.chart_loss, 1f)
    private val thick = line(R.color.chart_loss_mean, 2.5f)
    private val points = line(R.color.chart_accuracy, 2f)
    private val grid = line(R.color.chart_grid, 1f)
    private val words = Paint(Paint.ANTI_ALIAS_FLAG).apply { textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, TEXT_SP, resources.displayMetrics) }
    private var losses: List<Pair<Int, Double>> = emptyList()
    private var accuracies: List<Pair<Int, Double>> = emptyList()
    private var steps = 0

    /** Shows step -> loss and step -> accuracy of a run of [steps]. */
    fun show(losses: List<Pair<Int, Double>>, accuracies: List<Pair<Int, Double>>, steps: Int) {
        this.losses = losses.filter { it.second.isFinite() }
        this.accuracies = accuracies.filter { it.second.isFinite() }
        this.steps = maxOf(steps, this.losses.lastOrNull()?.first ?: 1, 1)
        contentDescription = described()
        invalidate()
    }

    private fun described(): String {
        if (losses.isEmpty()) return context.getString(R.string.chart_empty)
        val loss = context.getString(R.string.chart_described, losses.last().first, losses.first().second, losses.last().second)
        val last = accuracies.lastOrNull() ?: return loss
        return loss + " " + context.getString(R.string.chart_accuracies, PERCENT * accuracies.first().second, PERCENT * last.second)
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        words.color = context.getColor(R.color.on_surface_variant)
        val smoothed = smoothed()
        val all = losses.map { it.second } + smoothed.map { it.second }
        val (low, high) = bounds(all)
        val digits = if (high - low < FINE) 3 else 2
        val marks = List(MARKS) { low + (high - low) * it / (MARKS - 1) }
        val area = Area(
            left = if (all.isEmpty()) GAP_DP.dp else marks.maxOf { words.measureText(number(it, digits)) } + GAP_DP.dp,
            right = width - if (accuracies.isEmpty()) GAP_DP.dp else words.measureText(percent(1.0)) + GAP_DP.dp,
            top = 2 * words.textSize,
            bottom = height - 2 * words.textSize,
        )
        drawFrame(canvas, area)
        if (all.isEmpty()) return
        for (mark in marks) {
            val y = area.y((mark - low) / (high - low))
            canvas.drawLine(area.left, y, area.right, y, grid)
            text(canvas, number(mark, digits), area.left - GAP_DP.dp / 2, y + words.textSize / 3, Paint.Align.RIGHT)
        }
        if (losses.size > 1) {
            canvas.drawPath(path(losses, area, low, high), thin)
            canvas.drawPath(path(smoothed, area, low, high), thick)
        }
        drawAccuracies(canvas, area)
    }

    private fun drawFrame(canvas: Canvas, area: Area) {
        words.color = context.getColor(R.color.chart_loss_mean)
        text(canvas, context.getString(R.string.chart_loss), 0f, words.textSize, Paint.Align.LEFT)
        if (accuracies.isNotEmpty()) {
            words.color = context.getColor(R.color.chart_accuracy)
            text(canvas, context.getString(R.string.chart_accuracy), width.toFloat(), words.textSize, Paint.Align.RIGHT)
        }
        words.color = context.getColor(R.color.on_surface_variant)
        canvas.drawLine(area.left, area.bottom, area.right, area.bottom, grid)
        val bottom = height - words.textSize / 2
        text(canvas, number(0.0, 0), area.left, bottom, Paint.Align.LEFT)
        text(canvas, context.getString(R.string.chart_step), (area.left + area.right) / 2, bottom, Paint.Align.CENTER)
        text(canvas, number(steps.toDouble(), 0), area.right, bottom, Paint.Align.RIGHT)
    }

    private fun drawAccuracies(canvas: Canvas, area: Area) {
        if (accuracies.isEmpty()) return
        val values = accuracies.map { it.second }
        val low = maxOf(0.0, values.min() - ACCURACY_ROOM)
        val high = minOf(1.0, values.max() + ACCURACY_ROOM)
        for (mark in listOf(low, (low + high) / 2, high)) {
            text(canvas, percent(mark), width.toFloat(), area.y((mark - low) / (high - low)) + words.textSize / 3, Paint.Align.RIGHT)
        }
        canvas.drawPath(path(accuracies, area, low, high), points)
        for ((step, accuracy) in accuracies) {
            canvas.drawCircle(area.x(step, steps), area.y((accuracy - low) / (high - low)), POINT_DP.dp, points)
        }
    }

    private class Area(val left: Float, val right: Float, val top: Float, val bottom: Float) {
        fun x(step: Int, steps: Int) = left + (right - left) * step / steps

        fun y(share: Double) = bottom - (bottom - top) * share.toFloat()
    }

    private fun path(values: List<Pair<Int, Double>>, area: Area, low: Double, high: Double): Path {
        val path = Path()
        values.forEachIndexed { place, (step, value) ->
            val (x, y) = area.x(step, steps) to area.y((value - low) / (high - low))
            if (place == 0) path.moveTo(x, y) else path.lineTo(x, y)
        }
        return path
    }

    private fun bounds(values: List<Double>): Pair<Double, Double> {
        val low = values.minOrNull() ?: 0.0
        val high = values.maxOrNull() ?: 1.0
        return if (high - low < SMALLEST_RANGE) low - SMALLEST_RANGE to high + SMALLEST_RANGE else low to high
    }

    private fun smoothed(): List<Pair<Int, Double>> {
        var mean = losses.firstOrNull()?.second ?: return emptyList()
        return losses.map { (step, loss) ->
            mean += SMOOTHING * (loss - mean)
            step to mean
        }
    }

    private fun text(canvas: Canvas, text: String, x: Float, y: Float, align: Paint.Align) {
        words.textAlign = align
        canvas.drawText(text, x, y, words)
    }

    private fun number(value: Double, digits: Int): String = NumberFormat.getInstance(locale()).apply {
        minimumFractionDigits = digits
        maximumFractionDigits = digits
    }.format(value)

    private fun percent(value: Double): String = NumberFormat.getPercentInstance(locale()).format(value)

    private fun locale() = resources.configuration.locales[0]

    private val Float.dp: Float get() = this * resources.displayMetrics.density

    private fun line(color: Int, widthDp: Float) = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeJoin = Paint.Join.ROUND
        strokeWidth = widthDp * resources.displayMetrics.density
        this.color = context.getColor(color)
    }

    private companion object {
        const val SMOOTHING = 0.1
        const val SMALLEST_RANGE = 1e-3
        const val FINE = 0.05
        const val ACCURACY_ROOM = 0.05
        const val MARKS = 4
        const val TEXT_SP = 12f
        const val GAP_DP = 8f
        const val POINT_DP = 3f
        const val PERCENT = 100
    }
}
