from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0053_origins_of_requests'),
    ]

    operations = [
        migrations.AddField(
            model_name='requestlog',
            name='effort',
            field=models.CharField(blank=True, db_default='', default='', max_length=20),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='pdfs',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='structured_output',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='thinking',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='tools_offered',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='web_search',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('thinking', True)), fields=['started_at'], name='log_thinking_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('pdfs', True)), fields=['started_at'], name='log_pdfs_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('web_search', True)), fields=['started_at'], name='log_web_search_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('structured_output', True)), fields=['started_at'], name='log_structured_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('tools_offered', 0)), fields=['started_at'], name='log_toolless_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('streamed', False)), fields=['started_at'], name='log_whole_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('estimated_input_tokens__gte', 100000)), fields=['started_at'], name='log_large_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('estimated_input_tokens__lte', 1000)), fields=['started_at'], name='log_small_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('endpoint', 'shadow')), fields=['started_at'], name='log_shadows_time'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('effort', ''), _negated=True), fields=['effort', 'started_at'], name='log_effort_time'),
        ),
    ]
