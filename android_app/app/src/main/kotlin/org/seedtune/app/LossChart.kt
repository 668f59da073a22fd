package org.seedtune.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path
import android.util.AttributeSet
import android.view.View

/** The loss of each step as a line, and a smoother one above it. */
class LossChart(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val thin = paint(R.color.loss, 1.5f)
    private val thick = paint(R.color.loss_mean, 3f)
    private val frame = paint(R.color.chart_frame, 1f)

    /** What is drawn. */
    var losses: List<Double> = emptyList()
        set(value) {
            field = value
            contentDescription = if (value.isEmpty()) {
                context.getString(R.string.chart_empty)
            } else {
                context.getString(R.string.chart_described, value.size, value.first(), value.last())
            }
            invalidate()
        }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        canvas.drawRect(0f, 0f, width - 1f, height - 1f, frame)
        val finite = losses.filter { it.isFinite() }
        if (finite.size < 2) return
        val low = finite.min()
        val high = maxOf(finite.max(), low + SMALLEST_RANGE)
        canvas.drawPath(line(finite, low, high), thin)
        canvas.drawPath(line(smoothed(finite), low, high), thick)
    }

    private fun line(values: List<Double>, low: Double, high: Double): Path {
        val path = Path()
        values.forEachIndexed { place, value ->
            val x = width * place / (values.size - 1f)
            val y = height * (1 - ((value - low) / (high - low)).toFloat() * FILLED - (1 - FILLED) / 2)
            if (place == 0) path.moveTo(x, y) else path.lineTo(x, y)
        }
        return path
    }

    private fun smoothed(values: List<Double>): List<Double> {
        var mean = values.first()
        return values.map {
            mean += SMOOTHING * (it - mean)
            mean
        }
    }

    private fun paint(color: Int, widthDp: Float) = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = widthDp * resources.displayMetrics.density
        this.color = context.getColor(color)
    }

    private companion object {
        const val SMOOTHING = 0.1
        const val SMALLEST_RANGE = 1e-6
        const val FILLED = 0.9f
    }
}
