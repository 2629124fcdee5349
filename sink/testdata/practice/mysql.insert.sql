insert into inbox_document (external_ref, version, patient_no, patient_name, born, title, received_at, pdf)
values (:uuid, :revision, :patient_external_id, concat_ws(' ', :patient_last_name, :patient_first_name),
        :patient_date_of_birth, coalesce(:title, 'Askara'), :delivered_at, :content)
